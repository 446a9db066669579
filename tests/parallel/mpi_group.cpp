// MpiGroup by itself: every call among the processes that mpirun started, and how a program of one's own ends.
//
//   mpirun -n 3 mpi_group             all calls; exit code 0 if everything is right
//   mpirun -n 3 mpi_group late        process 1 stays away from a barrier: the others' wait ends with an error, exit
//                                     code 3
//   mpirun -n 3 mpi_group thrown      process 1 ends by an exception that destroys its group: it can say so, mpirun
//                                     ends those that wait for it, exit code 4

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/parallel/mpi.hpp"

using namespace d3ad;

namespace {

// Of another length in every process, and none in some.
std::string words_of(int rank) { return std::string(static_cast<std::size_t>(rank % 2) * 70'000u, char('a' + rank)); }

void words(MpiGroup& group) {
  const int size = group.size();
  const auto all = group.all_gather(words_of(group.rank()));
  D3AD_CHECK(static_cast<int>(all.size()) == size, "all_gather: ", all.size(), " texts of ", size);
  for (int r = 0; r < size; ++r) D3AD_CHECK(all[static_cast<std::size_t>(r)] == words_of(r), "all_gather: text ", r);
  const auto gathered = group.gather(words_of(group.rank()));
  D3AD_CHECK(gathered == (group.first() ? all : std::vector<std::string>()), "gather");
  for (int from = 0; from < size; ++from) {
    int number = group.rank() == from ? 10 + from : -1;
    group.broadcast(&number, sizeof(number), from);
    D3AD_CHECK(number == 10 + from, "broadcast from ", from, ": ", number);
  }
  D3AD_CHECK(group.any(group.rank() == size - 1) && !group.any(false), "any");
  const double expected = (1e17 + 1) - 1e17;  // in the order of the ranks; 1 + (1e17 - 1e17) would be 1
  const double part = group.rank() == 0 ? 1e17 : group.rank() == 1 ? 1 : group.rank() == 2 ? -1e17 : 0;
  D3AD_CHECK(size < 3 || group.sum(part) == expected, "sum");
  bool refused = false;
  try {
    group.agree(group.rank() == 1 ? "b" : "a", "letters");
  } catch (const Error&) {
    refused = true;
  }
  D3AD_CHECK(refused == (size > 1), "agree");
}

// Several at a time, of lengths that do not split, looked after in another order than they were started in.
void sums(MpiGroup& group) {
  const std::size_t lengths[] = {1, 7, 100'001, 2};
  std::vector<std::unique_ptr<Group::Sum>> all;
  for (const std::size_t n : lengths) all.push_back(group.make_sum(n));
  for (int round = 0; round < 3; ++round) {
    for (std::size_t s = 0; s < all.size(); ++s) {
      for (std::size_t i = 0; i < lengths[s]; ++i)
        all[s]->data()[i] = static_cast<float>(round + group.rank() + static_cast<int>(i % 1000));
      all[s]->start();
      for (std::size_t i = s + 1; i-- > 0;) all[i]->progress();
    }
    group.until(
        [&] {
          bool done = true;
          for (std::size_t i = all.size(); i-- > 0;) done = all[i]->progress() && done;
          return done;
        },
        "sums");
    const int size = group.size(), ranks = size * (size - 1) / 2;
    for (std::size_t s = 0; s < all.size(); ++s)
      for (std::size_t i = 0; i < lengths[s]; ++i) {
        const auto expected = static_cast<float>(size * (round + static_cast<int>(i % 1000)) + ranks);
        D3AD_CHECK(all[s]->data()[i] == expected, "sum ", s, " at ", i, ": ", all[s]->data()[i], " for ", expected);
      }
  }
}

void last_words(MpiGroup& group) {
  // Longer than there is room for: each is cut off by itself.
  const auto all = group.last_words(std::string(5000, char('a' + group.rank())), 60);
  D3AD_CHECK(static_cast<int>(all.size()) == group.size(), "last words: ", all.size());
  for (int r = 0; r < group.size(); ++r) {
    const auto& text = all[static_cast<std::size_t>(r)];
    D3AD_CHECK(text.size() > 1000 && text.find_first_not_of(char('a' + r)) == std::string::npos, "last words of ", r);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string part = argc > 1 ? argv[1] : "";
  try {
    MpiGroup group({.deadline = part == "late" ? 1.0 : 60.0});
    D3AD_CHECK(group.size() == launched_processes(), "the group has ", group.size(), " of ", launched_processes());
    D3AD_CHECK(group.threads() >= 1 && group.local_rank() < group.size(), "threads, local_rank");
    words(group);
    sums(group);
    last_words(group);
    group.barrier();
    if (part == "late" && group.rank() == 1) ::sleep(100);
    if (part == "thrown" && group.rank() == 1) fail("process 1 has had enough");
    if (!part.empty()) group.barrier();
    return 0;
  } catch (const std::exception& error) {  // the group is gone, the program goes on
    std::fprintf(stderr, "mpi_group: %s\n", error.what());
    return part == "late" ? 3 : part == "thrown" ? 4 : 1;
  }
}
