#pragma once
// Definitions of data/good_images.hpp. Included by it unless they are compiled.

#include "d3ad/data/good_images.hpp"

namespace d3ad {

D3AD_INLINE GoodImages::GoodImages(const Paths& images, const Options& options) : tiling_(options.tiling) {
  split(images, options);
  cut();
}

D3AD_INLINE std::string GoodImages::tiles_text() const {
  std::string text = concat("tiles: ", pieces_.size(), " out of ", learned_.size(), " images to learn from");
  if (small_) text += concat("; smaller than a tile, and mirrored to fill it: ", small_);
  return text;
}

template <class Device>
Value<float, Device> GoodImages::load(Context<Device>& ctx, const std::vector<Piece>& pieces, std::int64_t first,
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

template <class Device>
Value<float, Device> GoodImages::load(Context<Device>& ctx, const Paths& paths, std::int64_t first,
                                      std::int64_t count) const {
  auto x = make_value<float>(ctx, {count, tiling_.size(), tiling_.size(), 3});
  for (std::int64_t i = 0; i < count; ++i) {
    const auto input = read_input(paths[static_cast<std::size_t>(first + i)], tiling_.size());
    copy_from_host(x.view().images(i, 1), input.data());
  }
  return x;
}

D3AD_INLINE void GoodImages::split(const Paths& images, const Options& options) {
  const std::size_t count = images.size();
  auto held = static_cast<std::size_t>(std::lround(options.held_back * static_cast<double>(count)));
  if (options.held_back > 0) held = std::min(std::max<std::size_t>(held, 1), count - 1);
  std::vector<bool> is_held(count, false);
  const auto order = shuffled(Rng(options.seed, Rng::stream("train.held_back")), count);
  for (std::size_t i = 0; i < held; ++i) is_held[order[i]] = true;
  for (std::size_t i = 0; i < count; ++i) (is_held[i] ? held_ : learned_).push_back(images[i]);
}

D3AD_INLINE TileGrid GoodImages::grid_of(const std::filesystem::path& image) const {
  try {
    const auto [width, height] = read_image_size(image);
    const auto [across, down] = tiling_.extent(width, height);
    return tiling_.grid(across, down);
  } catch (const Error& error) {
    fail("'", image.string(), "': ", error.what(), "; take it out of the good images, or put it right");
  }
}

D3AD_INLINE void GoodImages::cut() {
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

}  // namespace d3ad
