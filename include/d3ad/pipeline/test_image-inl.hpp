#pragma once
// Definitions of pipeline/test_image.hpp. Included by it unless they are compiled.

#include <filesystem>

#include "d3ad/parallel/packet.hpp"
#include "d3ad/pipeline/test_image.hpp"

namespace d3ad {

D3AD_INLINE TestImage test_image(const Sample& sample, ImageLoader::Item item) {
  TestImage out{.frame = {}, .mask = {}, .has_pixels = !sample.anomalous(), .error = std::move(item.error)};
  if (!out.error.empty()) return out;
  out.frame = {item.frame_width, item.frame_height, std::move(item.pixels)};
  if (!sample.mask) return out;
  try {
    const Image picture = sample_mask(sample);
    D3AD_CHECK(picture.width == item.width && picture.height == item.height, "mask '", sample.mask->string(), "' is ",
               picture.width, " x ", picture.height, ", its image ", item.width, " x ", item.height);
    out.mask = to_mask(picture, out.frame.width, out.frame.height);
    out.has_pixels = true;
  } catch (const Error& error) {
    out.error = error.what();
  }
  return out;
}

D3AD_INLINE TestShare share_test(Group& group, const std::vector<Sample>& test, const Tiling& tiling, int batch) {
  TestShare share;
  const auto processes = static_cast<std::size_t>(group.size()), rank = static_cast<std::size_t>(group.rank());
  if (processes > 1) {
    std::vector<std::filesystem::path> paths;
    for (std::size_t i = rank; i < test.size(); i += processes) paths.push_back(test[i].image);
    ImageLoader loader(paths, tiling);
    parallel::Packet packet;
    for (std::size_t i = rank; i < test.size(); i += processes) packet.put(test_image(test[i], loader.next()).error);
    const auto all = group.all_gather(std::move(packet).bytes());
    std::vector<parallel::PacketReader> readers(all.begin(), all.end());
    share.errors.resize(test.size());
    for (std::size_t i = 0; i < test.size(); ++i) readers[i % processes].get(share.errors[i]);
  }
  std::size_t place = 0;
  for (std::size_t i = 0; i < test.size(); ++i) {
    if (!share.errors.empty() && !share.errors[i].empty()) continue;
    if (place++ / static_cast<std::size_t>(batch) % processes == rank) share.own.push_back(i);
  }
  const std::size_t together = static_cast<std::size_t>(batch) * processes;
  share.rounds = (place + together - 1) / together;
  return share;
}

}  // namespace d3ad
