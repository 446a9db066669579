// One process alone, what groups do by their basic calls, waiting with a deadline, packets.

#include "d3ad/parallel/group.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <limits>

#include "d3ad/parallel/packet.hpp"
#include "support/thread_group.hpp"

namespace group_test {

using namespace d3ad;

TEST_CASE("one process alone is a group in which nothing has to be waited for") {
  Group& alone = Group::alone();
  CHECK(alone.first());
  CHECK_EQ(alone.size(), 1);
  CHECK_EQ(alone.sum(2.5), 2.5);
  CHECK(alone.any(true));
  CHECK_FALSE(alone.any(false));
  alone.barrier();
  std::string text = "as it was";
  alone.broadcast(text);
  CHECK_EQ(text, "as it was");
  CHECK_EQ(alone.gather("a").at(0), "a");
  CHECK_EQ(alone.all_gather("a").at(0), "a");
  CHECK_EQ(alone.last_words("a", 0).at(0), "a");
  const auto sum = alone.make_sum(2);
  sum->data()[1] = 3;
  sum->start();
  CHECK(sum->progress());
  CHECK_EQ(sum->data()[1], 3.0f);
}

TEST_CASE("several processes: sums in the order of the ranks, words of one and of all") {
  std::atomic<int> visited{0};
  test::in_threads(3, [&](Group& group) {
    // In another order 1e17 + 1 - 1e17 would be 1 or 0 elsewhere.
    const double parts[] = {1e17, 1, -1e17};
    if (group.sum(parts[group.rank()]) != (1e17 + 1) - 1e17) fail("the sum has another order");
    if (!group.any(group.rank() == 2) || group.any(false)) fail("any");
    std::string text = group.first() ? "of the first" : "";
    group.broadcast(text);
    if (text != "of the first") fail("broadcast: ", text);
    ++visited;
  });
  CHECK_EQ(visited, 3);
}

TEST_CASE("processes that do not agree all get an error that says so") {
  CHECK_THROWS_WITH_AS(
      test::in_threads(3, [](Group& group) { group.agree(group.rank() == 1 ? "b" : "a", "settings"); }),
      doctest::Contains("process 1 of 3 has other settings than process 0"), Error);
  test::in_threads(3, [](Group& group) { group.agree("a", "settings"); });
}

TEST_CASE("a wait ends when it is over, or with an error at the deadline") {
  Group group;
  group.set_deadline(60);
  int looks = 0;
  group.until([&] { return ++looks == 300; }, "a test");
  CHECK_EQ(looks, 300);
  group.set_deadline(0.05);
  CHECK_THROWS_WITH_AS(group.until([] { return false; }, "a test"), doctest::Contains("for the others (a test)"),
                       Error);
}

TEST_CASE("a packet gives back what was put in, and refuses what is not there") {
  parallel::Packet packet;
  packet.put(true), packet.put(std::int64_t{-5}), packet.put(std::numeric_limits<float>::denorm_min());
  packet.put(std::vector<float>{1, 2, 3}), packet.put(std::vector<std::uint8_t>{}), packet.put("text");
  packet.put(std::string("with\0zero", 9));
  parallel::PacketReader reader(packet.bytes());
  bool yes = false;
  std::int64_t whole = 0;
  float small = 0;
  std::vector<float> numbers;
  std::vector<std::uint8_t> none{9};
  std::string text, other;
  reader.get(yes), reader.get(whole), reader.get(small), reader.get(numbers), reader.get(none);
  CHECK_FALSE(reader.done());
  reader.get(text), reader.get(other);
  CHECK(reader.done());
  CHECK(yes);
  CHECK_EQ(whole, -5);
  CHECK_EQ(small, std::numeric_limits<float>::denorm_min());
  CHECK_EQ(numbers, std::vector<float>{1, 2, 3});
  CHECK(none.empty());
  CHECK_EQ(text, "text");
  CHECK_EQ(other, std::string("with\0zero", 9));
  CHECK_THROWS_AS(reader.get(whole), Error);
  parallel::Packet liar;
  liar.put(std::numeric_limits<std::uint64_t>::max());
  parallel::PacketReader lied(liar.bytes());
  CHECK_THROWS_WITH_AS(lied.get(numbers), doctest::Contains("not of the same build"), Error);
}

}  // namespace group_test
