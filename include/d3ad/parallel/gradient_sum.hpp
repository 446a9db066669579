#pragma once
// Gradients summed over the processes of a group while the backward pass still runs.
//
//   GradientSum<Cpu> sum(group, ctx, store.parameters());
//   sum.begin();
//   tape.listen([&](Parameter<Cpu>& p) { sum.contributed(p); });
//   tape.backward(loss);
//   sum.finish();                                    // every gradient is now the sum over the processes
//
// Gradients are sent in buckets of a few MiB, in the order in which a backward pass finishes them. A bucket's sum is
// started at its last gradient and polled at each later one. The first pass learns how often each parameter contributes
// and in which order they finish; its sums are all taken at its end. The network has to contribute alike in every pass
// and every process; otherwise there is an Error. With one process nothing is done at all.
//
// BucketSums<Device> sums a bucket: by host memory and Group::Sum here, by NCCL for GPUs (parallel/nccl.hpp).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/core/tensor.hpp"
#include "d3ad/parallel/group.hpp"

namespace d3ad {

// One bucket: gradients are taken one by one, summed together, and given back.
template <class Device>
class BucketSum {
 public:
  virtual ~BucketSum() = default;
  virtual void take(std::size_t offset, View<const float, Device> gradient) = 0;
  virtual void start() = 0;
  virtual bool progress() = 0;  // true when the sum is done
  virtual void give(std::size_t offset, View<float, Device> gradient) = 0;
};

// How a device's buckets are made. This variant uses host memory.
template <class Device>
struct BucketSums {
  static std::unique_ptr<BucketSum<Device>> make(Group& group, Context<Device>&, std::size_t count) {
    class OnHost : public BucketSum<Device> {
     public:
      explicit OnHost(std::unique_ptr<Group::Sum> sum) : sum_(std::move(sum)) {}
      void take(std::size_t offset, View<const float, Device> gradient) override {
        copy_to_host(sum_->data() + offset, gradient);
      }
      void start() override { sum_->start(); }
      bool progress() override { return sum_->progress(); }
      void give(std::size_t offset, View<float, Device> gradient) override {
        copy_from_host(gradient, static_cast<const float*>(sum_->data() + offset));
      }

     private:
      std::unique_ptr<Group::Sum> sum_;
    };
    return std::make_unique<OnHost>(group.make_sum(count));
  }
};

template <class Device>
class GradientSum {
 public:
  // bucket_bytes: a bucket is closed when it holds as many.
  GradientSum(Group& group, Context<Device>& ctx, const std::vector<Parameter<Device>*>& parameters,
              std::size_t bucket_bytes = std::size_t{4} << 20)
      : group_(group), ctx_(ctx), bucket_bytes_(bucket_bytes) {
    for (auto* p : parameters) {
      if (!p->trainable()) continue;
      by_parameter_.emplace(p, entries_.size());
      entries_.push_back({p});
    }
  }

  // Before the backward pass after which the gradients are complete: the last of a step's micro-batches.
  void begin() {
    if (group_.size() == 1) return;
    for (auto& e : entries_) e.seen = 0, e.taken = false;
    for (auto& b : buckets_) b.missing = b.complete_after;
    started_ = 0;
    running_ = true;
  }

  // The parameter's gradient has got a part; to be called after each (Tape::listen).
  void contributed(Parameter<Device>& p) {
    if (!running_) return;
    const auto found = by_parameter_.find(&p);
    if (found == by_parameter_.end()) return;
    Entry& e = entries_[found->second];
    ++e.seen;
    e.last = ++contributions_;
    if (buckets_.empty()) return;  // the first pass
    D3AD_CHECK(e.seen <= e.expected, "gradients: '", p.name(), "' got part ", e.seen,
               " in one backward pass, of which there were ", e.expected,
               " in the first; the network has to be the same in every step");
    if (e.seen == e.expected) {
      take(e);
      --buckets_[e.bucket].missing;
    }
    while (started_ < buckets_.size() && buckets_[started_].missing == 0) start_next();
    look_after();
  }

  // Waits until all gradients are sums.
  void finish() {
    if (!running_) return;
    if (buckets_.empty()) lay_out();
    while (started_ < buckets_.size()) start_next();
    group_.until([this] { return look_after(); }, "the sum of gradients");
    for (auto& e : entries_) buckets_[e.bucket].sum->give(e.offset, e.parameter->gradient());
    running_ = false;
  }

  std::size_t buckets() const { return buckets_.size(); }  // 0 before the first pass

 private:
  struct Entry {
    Parameter<Device>* parameter;
    int seen = 0, expected = 0;
    std::int64_t last = 0;  // when its last part came
    std::size_t bucket = 0, offset = 0;
    bool taken = false;
  };
  struct Bucket {
    std::unique_ptr<BucketSum<Device>> sum;
    std::vector<std::size_t> entries;
    int complete_after = 0, missing = 0;  // parameters that contribute, and those that have yet to
  };

  // Includes parameters that got no part in this pass, as they are.
  void start_next() {
    Bucket& bucket = buckets_[started_];
    for (const std::size_t i : bucket.entries)
      if (!entries_[i].taken) take(entries_[i]);
    bucket.sum->start();
    ++started_;
  }
  void take(Entry& e) {
    const View<const float, Device> gradient = e.parameter->gradient();
    buckets_[e.bucket].sum->take(e.offset, gradient);
    e.taken = true;
  }

  // Polls the sums that were started; true when all of them are done.
  bool look_after() {
    bool done = true;
    for (std::size_t i = 0; i < started_; ++i) done = buckets_[i].sum->progress() && done;
    return done;
  }

  // After the first pass: which parameters share a bucket. Parameters that no gradient reached come last.
  void lay_out() {
    std::vector<std::size_t> order(entries_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto when = [this](std::size_t i) { return entries_[i].seen ? entries_[i].last : contributions_ + 1; };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return when(a) < when(b); });
    std::string layout;
    std::vector<std::size_t> counts;
    for (const std::size_t i : order) {
      Entry& e = entries_[i];
      if (counts.empty() || counts.back() * sizeof(float) >= bucket_bytes_) {
        counts.push_back(0);
        buckets_.emplace_back();
      }
      e.expected = e.seen, e.bucket = buckets_.size() - 1, e.offset = counts.back();
      counts.back() += static_cast<std::size_t>(e.parameter->size());
      buckets_.back().entries.push_back(i);
      if (e.expected > 0) ++buckets_.back().complete_after;
      layout += concat(e.parameter->name(), ' ', e.parameter->size(), ' ', e.expected, '\n');
    }
    group_.agree(layout, "a network to train");
    for (std::size_t i = 0; i < buckets_.size(); ++i)
      buckets_[i].sum = BucketSums<Device>::make(group_, ctx_, counts[i]);
  }

  Group& group_;
  Context<Device>& ctx_;
  std::size_t bucket_bytes_;
  std::vector<Entry> entries_;
  std::unordered_map<const Parameter<Device>*, std::size_t> by_parameter_;
  std::vector<Bucket> buckets_;
  std::size_t started_ = 0;  // the first so many buckets are on their way
  std::int64_t contributions_ = 0;
  bool running_ = false;
};

}  // namespace d3ad
