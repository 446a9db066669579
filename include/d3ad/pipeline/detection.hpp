#pragma once
// What a detector says of an image.
//
//   const Detection d = detector(read_image("photo.jpg"));
//   if (d.faulty) use(d.score, d.map, d.attributes.at("T_hat"));

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/methods/tiles.hpp"
#include "d3ad/model/method_info.hpp"
#include "d3ad/parallel/packet.hpp"

namespace d3ad {

// The numbers that a method gives of an image beside its score, with their descriptions.
struct AttributeValues {
  const std::vector<Attribute>* described = nullptr;  // the method's, which outlive every model
  std::vector<float> values;                          // in their order

  std::size_t size() const { return values.size(); }
  // By name; an Error if the method has no such attribute.
  float at(const std::string& name) const {
    for (std::size_t i = 0; i < size(); ++i)
      if ((*described)[i].name == name) return values[i];
    fail("detection: the method gives no '", name, "'");
  }
};

struct Detection {
  float score = 0;
  bool faulty = false;
  AttributeValues attributes;           // with tiles: of the deciding tile (Attribute::decides)
  std::vector<float> map;               // anomaly map [height x width], higher is more wrong
  anomaly::RawMaps raw;                 // what the map is made from: for other ranges (evaluate)
  std::vector<float> input;             // [height x width x 3] in [-1, 1]
  std::vector<float> reconstruction;    // the same as it would be if good; empty if the method does not reconstruct
  int width = 0, height = 0;            // of the map; without tiles image_size both
  std::vector<TileFinding> tiles = {};  // where each tile lies in the map, and its attributes; empty without tiles
};

// On their way between processes; the reader knows the method.
inline void put(parallel::Packet& p, const Detection& d) {
  p.put(d.score), p.put(d.faulty), p.put(d.attributes.values), p.put(d.map);
  anomaly::put(p, d.raw);
  p.put(d.input), p.put(d.reconstruction), p.put(d.width), p.put(d.height);
  p.put(static_cast<std::uint64_t>(d.tiles.size()));
  for (const auto& t : d.tiles) p.put(t.x), p.put(t.y), p.put(t.attributes);
}
inline Detection get_detection(parallel::PacketReader& p, const MethodInfo& info) {
  Detection d;
  p.get(d.score), p.get(d.faulty), p.get(d.attributes.values), p.get(d.map);
  d.attributes.described = &info.attributes;
  d.raw = anomaly::get_raw_maps(p);
  p.get(d.input), p.get(d.reconstruction), p.get(d.width), p.get(d.height);
  std::uint64_t tiles = 0;
  p.get(tiles);
  for (std::uint64_t i = 0; i < tiles; ++i) {
    auto& t = d.tiles.emplace_back();
    p.get(t.x), p.get(t.y), p.get(t.attributes);
  }
  return d;
}

}  // namespace d3ad
