#pragma once
// MpiGroup: the processes that mpirun started (parallel/group.hpp). Needs MPI: link d3ad::mpi, which defines
// D3AD_MPI=1; without it this header only tells how a process was started.
//
//   std::unique_ptr<Group> group;
//   if (started_by_mpirun()) group = std::make_unique<MpiGroup>(MpiGroup::Options{.deadline = 600});
//
// One object for each program, made before and destroyed after all work: it initialises MPI and finalises it. MPI is
// called from its thread only (MPI_THREAD_FUNNELED); other threads may compute and read files. Start and end wait for
// all processes, as MPI does. Every call between them is nonblocking and is polled until it is done or the deadline is
// over. MPI's errors become d3ad::Error. After an Error only last_words() and abort() may be called. If an exception
// destroys the object, MPI is not finalised: the others may be waiting for this process elsewhere, and mpirun ends them
// when it sees a process end without MPI's end.
//
// A sum has three parts: an exchange (all-to-all), in which each process gets everybody's numbers of its own part; that
// part's sum in the order of the ranks; and a collection of the parts (all-gather). MPI's own reductions may take any
// order.

#include <cstdlib>
#include <string>

namespace d3ad {

// What a launcher (mpirun, srun) says of itself in the environment: of how many processes this is one; 1 if there is
// no word of it.
inline int launched_processes() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "MPI_LOCALNRANKS"})
    if (const char* text = std::getenv(name))
      if (const int count = std::atoi(text); count > 0) return count;
  return 1;
}
// Whether MPI may be initialised without starting anything: this process has a launcher.
inline bool started_by_mpirun() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_SIZE"})
    if (std::getenv(name)) return true;
  return false;
}

}  // namespace d3ad

#if defined(D3AD_MPI) && D3AD_MPI

#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/parallel/group.hpp"

namespace d3ad {

class MpiGroup : public Group {
 public:
  struct Options {
    double deadline = 1800;  // seconds that a call waits for the others, 0: for ever
  };

  MpiGroup() : MpiGroup(Options{}) {}
  explicit MpiGroup(Options options) {
    set_deadline(options.deadline);
    int initialised = 0, level = 0;
    check(MPI_Initialized(&initialised), "MPI_Initialized");
    if (!initialised) {
      check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "MPI_Init_thread");
      finalise_ = true;
    } else {
      check(MPI_Query_thread(&level), "MPI_Query_thread");
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    D3AD_CHECK(level >= MPI_THREAD_FUNNELED,
               "MPI: this installation allows no threads beside MPI (MPI_THREAD_FUNNELED); use another one");
    // Of its own, so that nothing of another library's is mistaken for ours. Calls on one communicator have to come in
    // the same order everywhere; those whose turn depends on time have one for themselves.
    for (MPI_Comm* own : {&comm_, &collect_comm_, &last_comm_}) {
      check(MPI_Comm_dup(MPI_COMM_WORLD, own), "MPI_Comm_dup");
      MPI_Comm_set_errhandler(*own, MPI_ERRORS_RETURN);
    }
    check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
    threads_ = share_of_cores();
  }
  ~MpiGroup() override {
    if (unfinished_ > 0 || std::uncaught_exceptions() > exceptions_) return;
    for (MPI_Comm* own : {&comm_, &collect_comm_, &last_comm_}) MPI_Comm_free(own);
    if (finalise_) MPI_Finalize();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int threads() const override { return threads_; }
  // If mpirun bound each process of this machine to processors of its own: to how many, and of how many altogether.
  // Otherwise both are 0.
  std::pair<int, int> bound_to() const { return bound_to_; }

  using Group::broadcast;
  void broadcast(void* data, std::size_t bytes, int from = 0) override {
    each_piece(data, bytes, [&](char* piece, int count) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Ibcast(piece, count, MPI_BYTE, from, comm_, &request), "MPI_Ibcast");
      wait(request, "a broadcast");
    });
  }

  std::vector<std::string> gather(std::string mine) override {
    const auto sizes = sizes_of(mine);
    std::vector<MPI_Request> requests;
    const auto post = [&](std::string& bytes, auto&& call) {
      each_piece(bytes.data(), bytes.size(), [&](char* piece, int count) {
        requests.push_back(MPI_REQUEST_NULL);
        call(piece, count, &requests.back());
      });
    };
    std::vector<std::string> all;
    if (rank_ == 0) {
      all.resize(static_cast<std::size_t>(size_));
      all[0] = std::move(mine);
      for (int r = 1; r < size_; ++r) {
        auto& bytes = all[static_cast<std::size_t>(r)];
        bytes.resize(static_cast<std::size_t>(sizes[static_cast<std::size_t>(r)]));
        post(bytes, [&](char* piece, int count, MPI_Request* request) {
          check(MPI_Irecv(piece, count, MPI_BYTE, r, 0, comm_, request), "MPI_Irecv");
        });
      }
    } else {
      post(mine, [&](char* piece, int count, MPI_Request* request) {
        check(MPI_Isend(piece, count, MPI_BYTE, 0, 0, comm_, request), "MPI_Isend");
      });
    }
    for (auto& request : requests) wait(request, "results");
    return all;
  }

  std::vector<std::string> all_gather(std::string mine) override {
    const auto sizes = sizes_of(mine);
    std::vector<std::string> all(static_cast<std::size_t>(size_));
    for (int r = 0; r < size_; ++r) {
      auto& bytes = all[static_cast<std::size_t>(r)];
      if (r == rank_)
        bytes = std::move(mine);
      else
        bytes.resize(static_cast<std::size_t>(sizes[static_cast<std::size_t>(r)]));
      broadcast(bytes.data(), bytes.size(), r);
    }
    return all;
  }

  std::unique_ptr<Sum> make_sum(std::size_t count) override { return std::make_unique<OrderedSum>(*this, count); }

  std::vector<std::string> last_words(std::string mine, double seconds) override {
    // Of one length, so that one call is enough: what is waited for here may never come. Each ends with a zero.
    constexpr std::size_t kLength = 2048;
    mine.resize(kLength - 1);
    mine.resize(kLength);
    words_.assign(kLength * static_cast<std::size_t>(size_), '\0');
    own_words_ = std::move(mine);
    MPI_Request request = MPI_REQUEST_NULL;
    const double start = MPI_Wtime();
    int done = 0;
    if (unfinished_ > 0 || MPI_Iallgather(own_words_.data(), static_cast<int>(kLength), MPI_BYTE, words_.data(),
                                          static_cast<int>(kLength), MPI_BYTE, last_comm_, &request) != MPI_SUCCESS)
      return {};
    while (!done && MPI_Wtime() - start < seconds) {
      if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::vector<std::string> all;
    for (int r = 0; done && r < size_; ++r)
      all.emplace_back(words_.data() + static_cast<std::size_t>(r) * kLength);  // up to its first zero
    return all;
  }
  void abort(int exit_code) noexcept override { MPI_Abort(MPI_COMM_WORLD, exit_code); }

 private:
  static void check(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    fail("MPI: ", call, " failed: ", text);
  }

  // MPI counts in int.
  template <class F>
  static void each_piece(void* data, std::size_t bytes, F&& f) {
    constexpr std::size_t kPiece = std::size_t{1} << 28;
    for (std::size_t at = 0; at < bytes; at += kPiece)
      f(static_cast<char*>(data) + at, static_cast<int>(std::min(kPiece, bytes - at)));
  }

  bool test(MPI_Request& request) const {
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  }
  void wait(MPI_Request& request, const char* what) {
    ++unfinished_;  // stays so if the wait ends with an error
    until([&] { return test(request); }, what);
    --unfinished_;
  }

  std::vector<std::uint64_t> sizes_of(const std::string& mine) {
    const auto bytes = static_cast<std::uint64_t>(mine.size());
    std::vector<std::uint64_t> sizes(static_cast<std::size_t>(size_));
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iallgather(&bytes, 1, MPI_UINT64_T, sizes.data(), 1, MPI_UINT64_T, comm_, &request), "MPI_Iallgather");
    wait(request, "word from each");
    return sizes;
  }

  // mpirun either binds each process to processors of its own, which it then takes, or lets all run on all, which they
  // then share.
  int share_of_cores() {
    MPI_Comm node = MPI_COMM_NULL;
    check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
          "MPI_Comm_split_type");
    int here = 1;
    check(MPI_Comm_size(node, &here), "MPI_Comm_size");
    check(MPI_Comm_rank(node, &local_rank_), "MPI_Comm_rank");
    cpu_set_t own;
    CPU_ZERO(&own);
    ::sched_getaffinity(0, sizeof(own), &own);
    std::vector<cpu_set_t> all(static_cast<std::size_t>(here));
    check(MPI_Allgather(&own, static_cast<int>(sizeof(own)), MPI_BYTE, all.data(), static_cast<int>(sizeof(own)),
                        MPI_BYTE, node),
          "MPI_Allgather");
    MPI_Comm_free(&node);
    cpu_set_t together;
    CPU_ZERO(&together);
    int sum = 0;
    for (const auto& set : all) {
      CPU_OR(&together, &together, &set);
      sum += CPU_COUNT(&set);
    }
    const int united = CPU_COUNT(&together), mine = CPU_COUNT(&own);
    if (here > 1 && sum == united) bound_to_ = {united, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN))};
    return std::max(1, sum > united ? united / here : mine);
  }

  class OrderedSum : public Sum {
   public:
    OrderedSum(MpiGroup& group, std::size_t count)
        : group_(group),
          part_((count + static_cast<std::size_t>(group.size_) - 1) / static_cast<std::size_t>(group.size_)),
          data_(part_ * static_cast<std::size_t>(group.size_)),
          received_(data_.size()),
          mine_(part_) {
      D3AD_CHECK(part_ <= INT_MAX, "sum: ", count, " numbers are too many for one sum");
    }
    float* data() override { return data_.data(); }
    void start() override {
      const int part = static_cast<int>(part_);
      check(MPI_Ialltoall(data_.data(), part, MPI_FLOAT, received_.data(), part, MPI_FLOAT, group_.comm_, &request_),
            "MPI_Ialltoall");
      stage_ = Stage::exchange;
      group_.to_collect_.push_back(this);
      ++group_.unfinished_;
    }
    bool progress() override {
      if (stage_ == Stage::exchange && group_.test(request_)) {
        for (std::size_t i = 0; i < part_; ++i) {
          double sum = 0;
          for (std::size_t r = 0; r < static_cast<std::size_t>(group_.size_); ++r)
            sum += double{received_[r * part_ + i]};
          mine_[i] = static_cast<float>(sum);
        }
        stage_ = Stage::summed;
      }
      // Collections are started in the order in which the exchanges were, which is everybody's.
      if (stage_ == Stage::summed && group_.to_collect_.front() == this) {
        const int part = static_cast<int>(part_);
        check(MPI_Iallgather(mine_.data(), part, MPI_FLOAT, data_.data(), part, MPI_FLOAT, group_.collect_comm_,
                             &request_),
              "MPI_Iallgather");
        group_.to_collect_.pop_front();
        stage_ = Stage::collect;
      }
      if (stage_ == Stage::collect && group_.test(request_)) {
        stage_ = Stage::idle;
        --group_.unfinished_;
      }
      return stage_ == Stage::idle;
    }

   private:
    enum class Stage { idle, exchange, summed, collect };
    MpiGroup& group_;
    std::size_t part_;
    std::vector<float> data_, received_, mine_;
    MPI_Request request_ = MPI_REQUEST_NULL;
    Stage stage_ = Stage::idle;
  };

  MPI_Comm comm_ = MPI_COMM_NULL, collect_comm_ = MPI_COMM_NULL, last_comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1, local_rank_ = 0, threads_ = 0;
  bool finalise_ = false;
  int exceptions_ = std::uncaught_exceptions();  // under way when it was made
  std::int64_t unfinished_ = 0;                  // calls that MPI has not done with
  std::deque<OrderedSum*> to_collect_;           // sums that were started, in that order, until they collect
  std::pair<int, int> bound_to_{0, 0};
  std::string own_words_, words_;
};

}  // namespace d3ad

#endif
