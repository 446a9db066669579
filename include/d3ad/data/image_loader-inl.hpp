#pragma once
// Definitions of data/image_loader.hpp. Included by it unless they are compiled.

#include "d3ad/data/image_loader.hpp"

namespace d3ad {

D3AD_INLINE std::vector<float> read_input(const std::filesystem::path& path, int size) {
  return to_input(read_image(path), size);
}

D3AD_INLINE std::vector<float> turn_image(const std::vector<float>& pixels, int size, int turn) {
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

}  // namespace d3ad

namespace d3ad {

D3AD_INLINE ImageLoader::ImageLoader(std::vector<std::filesystem::path> paths, int size, std::size_t ahead)
    : ImageLoader(std::move(paths), Tiling(size), ahead) {}

D3AD_INLINE ImageLoader::ImageLoader(std::vector<std::filesystem::path> paths, const Tiling& tiling)
    : ImageLoader(std::move(paths), tiling, tiling.on() ? 2 : 8) {}

D3AD_INLINE ImageLoader::~ImageLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

D3AD_INLINE ImageLoader::Item ImageLoader::next() {
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

D3AD_INLINE ImageLoader::ImageLoader(std::vector<std::filesystem::path> paths, const Tiling& tiling, std::size_t ahead)
    : paths_(std::move(paths)), tiling_(tiling), ahead_(ahead), thread_([this] { work(); }) {}

D3AD_INLINE void ImageLoader::work() {
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

}  // namespace d3ad
