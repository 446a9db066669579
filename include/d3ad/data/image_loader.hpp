#pragma once
// Images decoded and resized ahead of use, on another thread, in order.
//
//   ImageLoader loader(paths, 256);                // or a Tiling (data/tile.hpp), for images that are cut later
//   for (std::size_t i = 0; i < paths.size(); ++i) {
//     ImageLoader::Item item = loader.next();     // waits for it
//     if (!item.error.empty()) ...                // a sentence; the other images are loaded all the same
//   }
//
// A loader that is destroyed early stops its thread at the next image. At most `ahead` images are loaded in advance;
// fewer if they are large enough for tiles.

#include <condition_variable>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/resize.hpp"
#include "d3ad/data/tile.hpp"

namespace d3ad {

// One image as the networks take it: [size x size x 3] in [-1, 1].
std::vector<float> read_input(const std::filesystem::path& path, int size);

// The eight ways to lay a square: turn 0 as it is, 1 left-right, 2 and 3 those upside down, 4 ... 7 transposed.
std::vector<float> turn_image(const std::vector<float>& pixels, int size, int turn);

class ImageLoader {
 public:
  struct Item {
    std::filesystem::path path;
    std::vector<float> pixels;  // of the frame (without tiles size x size); empty if there is an error
    int width = 0, height = 0;  // of the file
    std::string error;
    int frame_width = 0, frame_height = 0;
  };

  ImageLoader(std::vector<std::filesystem::path> paths, int size, std::size_t ahead = 8);
  ImageLoader(std::vector<std::filesystem::path> paths, const Tiling& tiling);
  ImageLoader(const ImageLoader&) = delete;
  ImageLoader& operator=(const ImageLoader&) = delete;
  ~ImageLoader();

  // The next image, in the order given.
  Item next();

 private:
  ImageLoader(std::vector<std::filesystem::path> paths, const Tiling& tiling, std::size_t ahead);

  void work();

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

#if D3AD_DEFINITIONS
#include "d3ad/data/image_loader-inl.hpp"
#endif
