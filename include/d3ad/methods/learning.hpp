#pragma once
// What a method learns with: the good images, the processes that share the work, and who hears of it.
//
//   learning.each_batch("fit", learning.good.pieces().size(), 8, Readers::all,
//     [&](parallel::Packet& packet, std::int64_t first, std::int64_t n) { packet.put(...); },
//     [&](parallel::PacketReader& reader) { reader.get(...); });
//
// A Trainer (pipeline/train.hpp) makes one from a TrainRequest and hands it to Method::learn().

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/data/good_images.hpp"
#include "d3ad/methods/method.hpp"
#include "d3ad/parallel/group.hpp"
#include "d3ad/parallel/packet.hpp"

namespace d3ad {

// What a caller hears while it waits, and how it stops the work.
struct TrainEvents {
  // stage: "encode", "train", ...; done of total; text: the loss, for example. Called often.
  std::function<void(const char* stage, std::int64_t done, std::int64_t total, const std::string& text)> progress =
      [](const char*, std::int64_t, std::int64_t, const std::string&) {};
  std::function<void(const std::string&)> note = [](const std::string&) {};  // a sentence for the user
  std::function<bool()> stop = [] { return false; };
};

struct TrainRequest {
  std::string category;
  std::vector<std::filesystem::path> good;  // images
  std::filesystem::path vae, extractor;     // networks that the method needs; others stay empty
  std::filesystem::path model;              // the folder
  Settings settings;
  bool copy_vae = false;  // a copy of the VAE in the folder, so that it can be moved alone
  double checkpoint_seconds = 60;
};

// Images or tiles computed together, except in a training by gradient, which has its own batch size.
inline constexpr int kLearningBatch = 8;

template <class Device>
struct Learning {
  Context<Device>& ctx;
  Group& group;
  const TrainRequest& request;
  const TrainEvents& events;
  const GoodImages& good;
  const ModelFolder& folder;

  // Who hears what each_batch() packed.
  enum class Readers { all, first };

  // Throws Interrupted in all processes if one of them is asked to stop.
  void stop_here(const char* stage) const { stop_here(stage, group.any(events.stop())); }
  void stop_here(const char* stage, bool now) const {
    if (now)
      throw Interrupted(concat("stopped during '", stage, "'; what was done is saved in '", folder.path().string(),
                               "', run the same command again to go on"));
  }

  // Calls visit(packet, first, n) for `total` images or pieces in batches, and read(reader) with what it packed, in the
  // order of the batches. Processes take turns.
  template <class Visit, class Read>
  void each_batch(const char* stage, std::size_t total, std::int64_t batch, Readers readers, Visit&& visit,
                  Read&& read) const {
    const auto count = static_cast<std::int64_t>(total);
    const std::int64_t round = batch * group.size();
    for (std::int64_t start = 0; start < count; start += round) {
      stop_here(stage);
      const std::int64_t first = start + batch * group.rank(), n = std::min(batch, count - first);
      parallel::Packet packet;
      if (n > 0) visit(packet, first, n);
      auto own = std::move(packet).bytes();
      for (const auto& bytes :
           readers == Readers::all ? group.all_gather(std::move(own)) : group.gather(std::move(own)))
        for (parallel::PacketReader reader(bytes); !reader.done();) read(reader);
      events.progress(stage, std::min(start + round, count), count, "");
    }
  }
};

}  // namespace d3ad
