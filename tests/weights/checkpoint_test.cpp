// Checkpoints: shards under an index are one file, and an index can neither lie nor lead out of its folder.

#include "d3ad/weights/checkpoint.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace checkpoint_test {

using namespace d3ad;
using test::contains;
using test::refusal;

namespace {

// A shard of tensors of two values each, the first value being the tensor's index.
void write_shard(const std::filesystem::path& path, const std::vector<std::string>& names, DType type = DType::f32) {
  SafetensorsWriter writer;
  writer.metadata = {{"format", "pt"}};
  for (std::size_t i = 0; i < names.size(); ++i)
    writer.add_floats(names[i], {2}, std::vector<float>{static_cast<float>(i), 0.5f}, type);
  writer.write(path);
}

struct Shards {
  Shards() {
    write_shard(folder / "m-00001-of-00002.safetensors", {"a", "b"});
    write_shard(folder / "m-00002-of-00002.safetensors", {"c"}, DType::f16);
  }
  std::filesystem::path index(const std::string& json) const {
    write_atomically(folder / "m.safetensors.index.json", json);
    return folder / "m.safetensors.index.json";
  }
  std::filesystem::path map(const std::string& entries) const { return index(R"({"weight_map": {)" + entries + "}}"); }
  std::string why(const std::filesystem::path& path) const {
    return refusal([&] { const Checkpoint checkpoint(path); });
  }
  test::TemporaryFolder folder;
  const std::string both = R"("a": "m-00001-of-00002.safetensors", "b": "m-00001-of-00002.safetensors")",
                    third = R"("c": "m-00002-of-00002.safetensors")";
};

}  // namespace

TEST_CASE("shards are read as if they were one file") {
  const Shards shards;
  const Checkpoint checkpoint(
      shards.index(R"({"metadata": {"total_size": 20}, "weight_map": {)" + shards.both + ", " + shards.third + "}}"));
  CHECK(checkpoint.size() == 3);
  CHECK(checkpoint.files().size() == 2);
  CHECK(checkpoint.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(checkpoint.floats("b") == std::vector<float>{1.0f, 0.5f});
  CHECK(checkpoint.floats("c") == std::vector<float>{0.0f, 0.5f});
  CHECK(checkpoint.dtype("a") == DType::f32);
  CHECK(checkpoint.dtype("c") == DType::f16);
  CHECK(checkpoint.dims("c") == std::vector<std::int64_t>{2});
  CHECK(checkpoint.metadata().at("format") == "pt");
  CHECK(checkpoint.file_bytes() == checkpoint.files()[0].file_bytes() + checkpoint.files()[1].file_bytes());
  CHECK(contains(refusal([&] { static_cast<void>(checkpoint.floats("d")); }), "there is no tensor 'd'"));

  const Checkpoint single(shards.folder / "m-00001-of-00002.safetensors");
  CHECK(single.names() == std::vector<std::string>{"a", "b"});
  CHECK(single.files().size() == 1);
}

TEST_CASE("an index's shards lie in its own folder") {
  const Shards shards;
  write_shard(shards.folder / "outside.safetensors", {"a"});
  std::filesystem::create_directory(shards.folder / "inside");
  const auto index = shards.folder / "inside" / "m.safetensors.index.json";
  for (const std::string shard : {"../outside.safetensors", "/etc/x.safetensors", "..", ".", "", "a/b.safetensors",
                                  "a\\\\b.safetensors", "outside.bin", "a\\nb.safetensors", "a\\u0000.safetensors"}) {
    CAPTURE(shard);
    write_atomically(index, R"({"weight_map": {"a": ")" + shard + "\"}}");
    CHECK(contains(shards.why(index), "shards lie in the index's own folder, do not use this index"));
  }
  write_atomically(index, R"({"weight_map": {"a": ")" + std::string(300, 'x') + ".safetensors\"}}");
  CHECK(contains(shards.why(index), "shards lie in the index's own folder"));
}

TEST_CASE("an index that is none is refused") {
  const Shards shards;
  for (const std::string json : {"", "{", "[]", "3", "{}", R"({"weight_map": []})", R"({"weight_map": {}})"}) {
    CAPTURE(json);
    CHECK(contains(shards.why(shards.index(json)), "is no index of shards: a JSON object with 'weight_map'"));
  }
  CHECK(contains(shards.why(shards.map(R"("a": 1)")), "the shard of 'a' is not text"));
  std::string many;
  for (int i = 0; i < 1001; ++i) many += concat(i ? "," : "", "\"t", i, "\":\"", i, ".safetensors\"");
  CHECK(contains(shards.why(shards.map(many)), "names 1001 shards, expected at most 1000"));
  CHECK(contains(shards.why(shards.folder / "none.index.json"), "No such file"));
}

TEST_CASE("what an index says has to be what its shards hold") {
  const Shards shards;
  CHECK(contains(shards.why(shards.map(shards.both + R"(, "c": "m-00001-of-00002.safetensors")")),
                 "says that 'c' is in 'm-00001-of-00002.safetensors', but it is not"));
  CHECK(
      contains(shards.why(shards.map(R"("a": "m-00001-of-00002.safetensors", )" + shards.third)), "holds 2 tensors, "));
  CHECK(contains(shards.why(shards.map(shards.both + R"(, "c": "m-00003-of-00003.safetensors")")),
                 "m-00003-of-00003.safetensors"));
  // The same tensor in both shards: one of them has more than the index says.
  write_shard(shards.folder / "m-00002-of-00002.safetensors", {"b", "c"});
  CHECK(contains(shards.why(shards.map(shards.both + ", " + shards.third)), "holds 2 tensors, "));
  // Cut short.
  write_shard(shards.folder / "m-00002-of-00002.safetensors", {"c"});
  std::filesystem::resize_file(shards.folder / "m-00002-of-00002.safetensors", 40);
  CHECK(contains(shards.why(shards.map(shards.both + ", " + shards.third)), "m-00002-of-00002.safetensors"));
}

TEST_CASE("files of PyTorch's are refused with the command that converts them") {
  for (const char* name : {"w.pth", "w.pt", "w.ckpt", "w.bin"})
    CHECK(contains(refusal([&] { const Checkpoint checkpoint(name); }),
                   concat("python3 weights_tools convert ", name, " -o w.safetensors")));
}

}  // namespace checkpoint_test
