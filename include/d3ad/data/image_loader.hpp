#pragma once
// Images decoded and resized ahead of use, on another thread, in order.
//
//   ImageLoader loader(paths, 256);                // or a Tiling (data/tile.hpp), for images that are cut later
//   for (std::size_t i = 0; i < paths.size(); ++i) {
//     ImageLoader::Item item = loader.next();     // waits for it
//     if (!item.error.empty()) ...                // a sentence; the others go on
//   }
//
// A loader that is thrown away early stops its thread at the next image. At most `ahead` images are kept waiting; fewer
// where they are large enough for tiles.

#include <condition_variable>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "d3ad/data/resize.hpp"
#include "d3ad/data/tile.hpp"

namespace d3ad {

// One image as the networks take it: [size x size x 3] in [-1, 1].
inline std::vector<float> read_input(const std::filesystem::path& path, int size) {
  return to_input(read_image(path), size);
}

// The eight ways to lay a square: turn 0 as it is, 1 left-right, 2 and 3 those upside down, 4 ... 7 transposed.
inline std::vector<float> turn_image(const std::vector<float>& pixels, int size, int turn) {
  if (turn == 0) return pixels;
  std::vector<float> out(pixels.size());
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      int fx = turn & 1 ? size - 1 - x : x, fy = turn & 2 ? size - 1 - y : y;
      if (turn & 4) std::swap(fx, fy);
      for (int c = 0; c < 3; ++c)
        out[static_cast<std::size_t>((y * size + x) * 3 + c)] =
            pixels[static_cast<std::size_t>((fy * size + fx) * 3 + c)];
    }
  return out;
}

class ImageLoader {
 public:
  struct Item {
    std::filesystem::path path;
    std::vector<float> pixels;  // of the frame (without tiles size x size); empty where there is an error
    int width = 0, height = 0;  // of the file
    std::string error;
    int frame_width = 0, frame_height = 0;
  };

  ImageLoader(std::vector<std::filesystem::path> paths, int size, std::size_t ahead = 8)
      : ImageLoader(std::move(paths), Tiling(size), ahead) {}
  ImageLoader(std::vector<std::filesystem::path> paths, const Tiling& tiling)
      : ImageLoader(std::move(paths), tiling, tiling.on() ? 2 : 8) {}
  ImageLoader(const ImageLoader&) = delete;
  ImageLoader& operator=(const ImageLoader&) = delete;
  ~ImageLoader() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // The next image, in the order given.
  Item next() {
    std::unique_lock lock(mutex_);
    D3AD_CHECK(taken_ < paths_.size(), "image loader: all ", paths_.size(), " images were taken already");
    changed_.wait(lock, [this] { return !ready_.empty(); });
    Item item = std::move(ready_.front());
    ready_.pop_front();
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    return item;
  }

 private:
  ImageLoader(std::vector<std::filesystem::path> paths, const Tiling& tiling, std::size_t ahead)
      : paths_(std::move(paths)), tiling_(tiling), ahead_(ahead), thread_([this] { work(); }) {}

  void work() {
    for (const auto& path : paths_) {
      Item item{path, {}, 0, 0, "", 0, 0};
      try {
        const Image image = read_image(path);
        item.width = image.width, item.height = image.height;
        Frame frame = tiling_.frame(image);
        item.frame_width = frame.width, item.frame_height = frame.height;
        item.pixels = std::move(frame.pixels);
      } catch (const std::exception& error) {
        item.error = error.what();
      }
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || ready_.size() < ahead_; });
      if (stop_) return;
      ready_.push_back(std::move(item));
      lock.unlock();
      changed_.notify_all();
    }
  }

  std::vector<std::filesystem::path> paths_;
  Tiling tiling_;
  std::size_t ahead_, taken_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> ready_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace d3ad
