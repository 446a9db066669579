#pragma once
// The good images of a training: which are learned from and which are held back, and the pieces they are learned in.
//
//   const GoodImages good(paths, {.tiling = Tiling(256), .held_back = 0.2, .seed = 0});
//   auto x = good.load(ctx, good.pieces(), 0, 8);       // the first eight pieces as a batch, [8, size, size, 3]
//
// A piece is a tile if the tiling cuts images (data/tile.hpp), else a whole image. Images are held back as a
// whole; which ones depends on the seed and their number.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

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
  GoodImages(const Paths& images, const Options& options) : tiling_(options.tiling) {
    split(images, options);
    cut();
  }

  // In the order they came in.
  const Paths& learned() const { return learned_; }
  const Paths& held() const { return held_; }
  const Tiling& tiling() const { return tiling_; }
  // Of the learned images, image by image.
  const std::vector<Piece>& pieces() const { return pieces_; }
  // The number of a learned image's first piece; of one past the last image: the number of all.
  std::int64_t first_piece(std::int64_t image) const { return first_[static_cast<std::size_t>(image)]; }
  // How many tiles there are, for the user.
  std::string tiles_text() const {
    std::string text = concat("tiles: ", pieces_.size(), " out of ", learned_.size(), " images to learn from");
    if (small_) text += concat("; smaller than a tile, and mirrored to fill it: ", small_);
    return text;
  }

  // `count` of the pieces from `first` on, which may be in any order.
  template <class Device>
  Value<float, Device> load(Context<Device>& ctx, const std::vector<Piece>& pieces, std::int64_t first,
                            std::int64_t count) const {
    auto x = make_value<float>(ctx, {count, tiling_.size(), tiling_.size(), 3});
    Frame frame;  // of the piece before, which often is of the same image
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(first + i);
      const Piece& piece = pieces[at];
      if (i == 0 || piece.image != pieces[at - 1].image) frame = tiling_.frame(read_image(learned_[piece.image]));
      const auto square = cut_tile(frame, tiling_.grid(frame.width, frame.height), piece.tile);
      copy_from_host(x.view().images(i, 1), square.data());
    }
    return x;
  }
  // Whole images.
  template <class Device>
  Value<float, Device> load(Context<Device>& ctx, const Paths& paths, std::int64_t first, std::int64_t count) const {
    auto x = make_value<float>(ctx, {count, tiling_.size(), tiling_.size(), 3});
    for (std::int64_t i = 0; i < count; ++i) {
      const auto input = read_input(paths[static_cast<std::size_t>(first + i)], tiling_.size());
      copy_from_host(x.view().images(i, 1), input.data());
    }
    return x;
  }

 private:
  void split(const Paths& images, const Options& options) {
    const std::size_t count = images.size();
    auto held = static_cast<std::size_t>(std::lround(options.held_back * static_cast<double>(count)));
    if (options.held_back > 0) held = std::min(std::max<std::size_t>(held, 1), count - 1);
    std::vector<bool> is_held(count, false);
    const auto order = shuffled(Rng(options.seed, Rng::stream("train.held_back")), count);
    for (std::size_t i = 0; i < held; ++i) is_held[order[i]] = true;
    for (std::size_t i = 0; i < count; ++i) (is_held[i] ? held_ : learned_).push_back(images[i]);
  }

  TileGrid grid_of(const std::filesystem::path& image) const {
    try {
      const auto [width, height] = read_image_size(image);
      const auto [across, down] = tiling_.extent(width, height);
      return tiling_.grid(across, down);
    } catch (const Error& error) {
      fail("'", image.string(), "': ", error.what(), "; take it out of the good images, or put it right");
    }
  }
  void cut() {
    first_.push_back(0);
    for (std::size_t i = 0; i < learned_.size(); ++i) {
      int count = 1;
      if (tiling_.on()) {
        const TileGrid grid = grid_of(learned_[i]);
        count = grid.count();
        small_ += grid.width < tiling_.size() || grid.height < tiling_.size();
      }
      for (int tile = 0; tile < count; ++tile) pieces_.push_back({i, tile});
      first_.push_back(static_cast<std::int64_t>(pieces_.size()));
    }
  }

  Tiling tiling_;
  Paths learned_, held_;
  std::vector<Piece> pieces_;
  std::vector<std::int64_t> first_;
  std::int64_t small_ = 0;  // learned images that are smaller than a tile
};

}  // namespace d3ad
