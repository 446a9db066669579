// Logs of training: event files byte by byte against TensorBoard's own writer, cut anywhere, followed while they grow;
// a log that is stopped and goes on.

#include "d3ad/methods/training_log.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "support/event_reader.hpp"
#include "support/locale.hpp"
#include "support/temporary_folder.hpp"

namespace training_log_test {

using namespace d3ad;

namespace {

// Three events by tensorboard 2.21's RecordWriter: the version; loss and learning rate at 50, with metadata; NaN and -0
// at 100000.
const char* const kTensorBoard =
    "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe95800000000000000a28b2f8c0900001040"
    "fc54d94110322a4b0a1f0a09756e65742f6c6f7373150000803e4a0d0a090a077363616c61727320010a280a12756e65742f6c6561726e696e"
    "675f726174651517b7d1384a0d0a090a077363616c61727320011eea647c3c00000000000000c8b7a352090000204ffc54d94110a08d062a2d"
    "0a100a09756e65742f6c6f7373150000c07f0a190a12756e65742f6c6561726e696e675f726174651500000080e96c2e36";

std::string from_hex(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) out += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return out;
}

EventFile example() {
  EventFile events(1700000000.25);
  events.add(1700000000.25, 50, {{"unet/loss", 0.25}, {"unet/learning_rate", 1e-4}});
  events.add(1700000060.5, 100000,
             {{"unet/loss", std::numeric_limits<double>::quiet_NaN()}, {"unet/learning_rate", -0.0}});
  return events;
}

TrainingLog::Step step(std::int64_t number) {
  const double x = 0.1 * static_cast<double>(number);
  return {number, 1.0 / (1.0 + x), std::exp(-x) / 3, 1e-4};
}

// Its bytes, or those that are there with 0 for none.
std::string bytes_of(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? read_file(path, 1 << 20) : "";
}

}  // namespace

TEST_CASE("event files are those of TensorBoard's writer") {
  const auto events = example();
  CHECK(events.bytes() == from_hex(kTensorBoard));
  const auto read = test::read_events(events.bytes());
  CHECK(read.whole);
  CHECK(read.version == "brain.Event:2");
  CHECK(read.scalars.size() == 4);
  CHECK(read.scalars.at({"unet/loss", 50}).value == 0.25f);
  CHECK(read.scalars.at({"unet/learning_rate", 50}).value == 1e-4f);
  CHECK(std::isnan(read.scalars.at({"unet/loss", 100000}).value));
  CHECK(read.scalars.at({"unet/learning_rate", 100000}).wall_time == 1700000060.5);
  CHECK(read.plugins ==
        std::map<std::string, std::string>{{"unet/loss", "scalars"}, {"unet/learning_rate", "scalars"}});
}

TEST_CASE("an event file that is cut anywhere gives the records before, one that is changed those before that") {
  const std::string bytes = example().bytes();
  std::size_t records = 0;
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    const auto read = test::read_events(bytes.substr(0, length));
    CHECK(read.records >= records);
    CHECK(read.records <= 2);
    CHECK(read.whole == (length == 0 || read.records > records));  // whole where a record ends and nowhere else
    records = read.records;
    CHECK(read.scalars.size() == (records < 2 ? 0 : 2));
  }
  CHECK(records == 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    CAPTURE(i);
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    CHECK_FALSE(test::read_events(changed).whole);
  }
}

TEST_CASE("a log has means over its steps, the same rows stopped or not") {
  const test::TemporaryFolder folder;
  TrainingLog whole(45, 16);
  for (int i = 1; i <= 45; ++i) whole.step(step(i));
  REQUIRE(whole.rows().size() == 23);  // every second, and the last
  CHECK(whole.rows()[0].step == 2);
  CHECK(whole.rows()[0].loss == (step(1).loss + step(2).loss) / 2);
  CHECK(whole.rows()[0].gradient_norm == (step(1).gradient_norm + step(2).gradient_norm) / 2);
  CHECK(whole.rows()[22].step == 45);
  CHECK(whole.rows()[22].loss == step(45).loss);
  CHECK(whole.rows()[22].images_per_second > 0);
  CHECK(whole.rows()[22].wall_time > 1.7e9);
  whole.write_events(folder / "whole", "unet/");

  // Stopped after every step, each time with some steps that no checkpoint has.
  std::string state = "[]";
  for (int i = 1; i <= 45; ++i) {
    TrainingLog part(45, 16);
    part.read(nlohmann::json::parse(state));
    part.step(step(i));
    state = part.json().dump();
    part.write_events(folder / "parts", "unet/");
    for (int lost = 1; lost < 4 && i + lost <= 45; ++lost) part.step(step(i + lost));
  }
  TrainingLog last(45, 16);
  last.read(nlohmann::json::parse(state));
  REQUIRE(last.rows().size() == whole.rows().size());
  for (std::size_t i = 0; i < last.rows().size(); ++i) {
    CAPTURE(i);
    CHECK(last.rows()[i].step == whole.rows()[i].step);
    CHECK(last.rows()[i].loss == whole.rows()[i].loss);  // to the bit, through JSON
    CHECK(last.rows()[i].gradient_norm == whole.rows()[i].gradient_norm);
    CHECK(last.rows()[i].learning_rate == whole.rows()[i].learning_rate);
  }
  const auto a = test::read_events(bytes_of(folder / "whole")), b = test::read_events(bytes_of(folder / "parts"));
  CHECK(a.whole);
  CHECK(b.whole);
  CHECK(b.repeated == 0);
  REQUIRE(a.scalars.size() == 4 * 23);
  REQUIRE(b.scalars.size() == a.scalars.size());
  for (const auto& entry : a.scalars) {
    REQUIRE(b.scalars.count(entry.first) == 1);
    if (entry.first.first != "unet/images_per_second") CHECK(b.scalars.at(entry.first).value == entry.second.value);
  }
}

TEST_CASE("a log's table is the same in every locale, and its curve is a picture") {
  const test::TemporaryFolder folder;
  TrainingLog log(4000, 16);
  for (int i = 1; i <= 4000; ++i) log.step(step(i));
  log.write_csv(folder / "plain.csv");
  {
    const test::CommaLocale other;
    log.write_csv(folder / "other.csv");
  }
  const auto csv = bytes_of(folder / "plain.csv");
  CHECK(csv.find("\n4000,0.002") != std::string::npos);
  CHECK(bytes_of(folder / "other.csv") == csv);
  log.write_curve(folder / "loss.png");
  const Image curve = read_image(folder / "loss.png");
  CHECK(curve.width == 960);
  CHECK(curve.height == 540);
}

TEST_CASE("what is no log is begun anew") {
  for (const char* text : {"[]", "3", "null", "{}", R"({"rows": [[1, 2]], "open": [0, 0, 0, 0]})",
                           R"({"rows": [[1, 2, 3, 4, 5, 6]], "open": [0, "x", 0, 0]})"}) {
    CAPTURE(text);
    TrainingLog log(2, 1);
    log.read(nlohmann::json::parse(text));
    CHECK(log.rows().empty());
    log.step(step(1));
    CHECK(log.rows().at(0).loss == step(1).loss);
  }
}

TEST_CASE("an event file grows in place, and is made anew where it was cut, damaged or of another training") {
  const test::TemporaryFolder folder;
  const auto path = folder / "events.out.tfevents.1.unet";
  TrainingLog log(20, 1);
  log.write_events(path, "unet/");
  CHECK_FALSE(std::filesystem::exists(path));  // nothing to say yet
  for (int i = 1; i <= 5; ++i) log.step(step(i));
  log.write_events(path, "unet/");
  const std::string five = bytes_of(path);
  std::filesystem::create_hard_link(path, folder / "followed");  // a reader that has the file open
  for (int i = 6; i <= 10; ++i) log.step(step(i));
  log.write_events(path, "unet/");
  const std::string ten = bytes_of(path);
  CHECK(ten.starts_with(five));
  CHECK(bytes_of(folder / "followed") == ten);
  CHECK(test::read_events(ten).records == 11);
  CHECK(folder.entries() == 2);

  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, ten.size() / 2, ten.size() - 1}) {
    CAPTURE(length);
    write_atomically(path, ten.substr(0, length));
    log.write_events(path, "unet/");
    CHECK(bytes_of(path) == ten);
  }
  for (const std::string& other : {ten + std::string(50, '\0'), five + std::string(100, '\0'), std::string("else")}) {
    write_atomically(path, other);
    log.write_events(path, "unet/");
    CHECK(bytes_of(path) == ten);
  }
}

}  // namespace training_log_test
