#pragma once
// Group: the processes that work on one task together, and their messages.
//
//   Group& group = Group::alone();                 // one process: every call is trivial, MPI is not needed
//   MpiGroup group;                                // those that mpirun started (parallel/mpi.hpp)
//   group.rank(), group.size()                     // this process, and how many; rank 0 writes files and messages
//   const auto all = group.all_gather(mine);       // everybody's bytes, by rank
//
// The calls are collective: every process makes the same ones in the same order, each from the thread that made the
// group. A wait ends with an Error after deadline() seconds, so that no process hangs if another one is gone.
//
// Sums are taken in the order of the ranks, in double, so that they depend only on the number of processes and every
// process gets the same bits.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "d3ad/core/check.hpp"

namespace d3ad {

class Group {
 public:
  // A vector's sum over the processes, which runs while its owner works: written to data(), started, polled from time
  // to time, done, read from data(). It can be started again. All processes start their sums in the same order.
  class Sum {
   public:
    virtual ~Sum() = default;
    virtual float* data() = 0;
    virtual void start() = 0;
    virtual bool progress() = 0;  // true when it is done, or was never started
  };

  Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  virtual ~Group() = default;

  // The group of this process only.
  static Group& alone() {
    static Group group;
    return group;
  }

  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }
  bool first() const { return rank() == 0; }
  // The number of this process among those on this machine: the GPU to take.
  virtual int local_rank() const { return 0; }
  // How many threads this process should compute with, so that those on one machine share its cores; 0: all there are.
  virtual int threads() const { return 0; }
  // Seconds that a call waits for the others, 0: for ever.
  double deadline() const { return deadline_; }
  void set_deadline(double seconds) { deadline_ = seconds; }

  // The bytes of process `from`, in everybody's `data`.
  virtual void broadcast(void* /*data*/, std::size_t /*bytes*/, int /*from*/ = 0) {}
  // Everybody's bytes by rank, at rank 0; the others get nothing.
  virtual std::vector<std::string> gather(std::string mine) { return one(std::move(mine)); }
  // Everybody's bytes by rank.
  virtual std::vector<std::string> all_gather(std::string mine) { return one(std::move(mine)); }
  // A sum of `count` numbers, to be started as often as wanted.
  virtual std::unique_ptr<Sum> make_sum(std::size_t count) { return std::make_unique<OwnSum>(count); }

  // For a program that is about to end with an error: the last words of every process, by rank, if all of them fail
  // within `seconds`; otherwise nothing, and the caller has to end the others with abort().
  virtual std::vector<std::string> last_words(std::string mine, double /*seconds*/) { return one(std::move(mine)); }
  // Ends all processes with this exit code, if it can.
  virtual void abort(int /*exit_code*/) noexcept {}

  // ---- made of those ----

  // Sum in the order of the ranks.
  double sum(double mine) {
    double total = 0;
    for (const double x : everybody(mine)) total += x;
    return total;
  }
  // Whether it is true in any process.
  bool any(bool mine) { return sum(mine ? 1 : 0) > 0; }
  // Returns when all processes have called it.
  void barrier() { everybody(0); }
  // The text of rank 0.
  void broadcast(std::string& text) {
    auto bytes = static_cast<std::uint64_t>(text.size());
    broadcast(&bytes, sizeof(bytes));
    text.resize(static_cast<std::size_t>(bytes));
    broadcast(text.data(), text.size());
  }
  // An Error in every process if their texts are not the same.
  void agree(const std::string& text, const char* what) {
    if (size() == 1) return;
    const auto all = all_gather(text);
    for (std::size_t r = 1; r < all.size(); ++r)
      D3AD_CHECK(all[r] == all[0], "process ", r, " of ", size(), " has other ", what,
                 " than process 0; start all of them with the same command on the same files");
  }

  // Calls `done` until it says true; an Error that names `what` after deadline() seconds.
  void until(const std::function<bool()>& done, const char* what) const {
    using Clock = std::chrono::steady_clock;
    constexpr int kEager = 200;  // polls before others get the processor, perhaps the process that is awaited
    constexpr std::chrono::microseconds kShortest{20}, kLongest{1000};
    auto nap = kShortest;
    const auto start = Clock::now();
    for (std::int64_t looks = 0; !done(); ++looks) {
      if (looks < kEager) continue;
      std::this_thread::sleep_for(nap);
      nap = std::min(nap * 5 / 4, kLongest);
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      D3AD_CHECK(deadline() <= 0 || seconds < deadline(), "process ", rank(), " of ", size(), " waited ", deadline(),
                 " s for the others (", what,
                 "): one of them has ended or hangs; where they are only slow, let them wait longer");
    }
  }

 private:
  // One process: what it wrote is the sum.
  class OwnSum : public Sum {
   public:
    explicit OwnSum(std::size_t count) : data_(count) {}
    float* data() override { return data_.data(); }
    void start() override {}
    bool progress() override { return true; }

   private:
    std::vector<float> data_;
  };

  static std::vector<std::string> one(std::string mine) {
    std::vector<std::string> all;
    all.push_back(std::move(mine));
    return all;
  }
  std::vector<double> everybody(double mine) {
    if (size() == 1) return {mine};
    std::vector<double> values;
    for (const auto& bytes : all_gather(std::string(reinterpret_cast<const char*>(&mine), sizeof(mine)))) {
      double value = 0;
      std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof(value)));
      values.push_back(value);
    }
    return values;
  }

  double deadline_ = 0;
};

}  // namespace d3ad
