#pragma once
// The good images of a training: the ones to train on, the held-out ones, and the pieces that they are cut into.
//
//   const GoodImages good(paths, {.tiling = Tiling(256), .held_back = 0.2, .seed = 0});
//   auto x = good.load(ctx, good.pieces(), 0, 8);       // the first eight pieces as a batch, [8, size, size, 3]
//
// A piece is a tile if the tiling cuts images (data/tile.hpp), otherwise a whole image. Images are held out as a whole;
// the seed and the number of images decide which ones.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/core/value.hpp"
#include "d3ad/data/image_loader.hpp"
#include "d3ad/data/tile.hpp"

namespace d3ad {

class GoodImages {
 public:
  using Paths = std::vector<std::filesystem::path>;
  struct Piece {
    std::size_t image;  // of learned()
    int tile;           // of the image's grid
  };

  struct Options {
    Tiling tiling;
    double held_back = 0;  // fraction of the images, 0 to below 1; if it is not 0, at least one image
    std::uint64_t seed = 0;
  };

  // With tiles the images' headers are read, for their sizes; throws if one cannot be read.
  GoodImages(const Paths& images, const Options& options);

  // In the order they came in.
  const Paths& learned() const { return learned_; }
  const Paths& held() const { return held_; }
  const Tiling& tiling() const { return tiling_; }
  // Of the learned images, image by image.
  const std::vector<Piece>& pieces() const { return pieces_; }
  // The number of a learned image's first piece; of one past the last image: the number of all.
  std::int64_t first_piece(std::int64_t image) const { return first_[static_cast<std::size_t>(image)]; }
  // How many tiles there are, for the user.
  std::string tiles_text() const;

  // `count` of the pieces from `first` on, which may be in any order.
  template <class Device>
  Value<float, Device> load(Context<Device>& ctx, const std::vector<Piece>& pieces, std::int64_t first,
                            std::int64_t count) const;
  // Whole images.
  template <class Device>
  Value<float, Device> load(Context<Device>& ctx, const Paths& paths, std::int64_t first, std::int64_t count) const;

 private:
  void split(const Paths& images, const Options& options);

  TileGrid grid_of(const std::filesystem::path& image) const;
  void cut();

  Tiling tiling_;
  Paths learned_, held_;
  std::vector<Piece> pieces_;
  std::vector<std::int64_t> first_;
  std::int64_t small_ = 0;  // learned images that are smaller than a tile
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/data/good_images-inl.hpp"
#endif
