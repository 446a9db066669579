// Thousands of damaged safetensors files, the same in every run: each is read or refused with an Error.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "d3ad/core/rng.hpp"
#include "support/safetensors_bytes.hpp"

namespace safetensors_fuzz_test {

using namespace d3ad;

namespace {

std::string honest_file() {
  return test::safetensors_text(R"({"__metadata__":{"kind":"fuzz","a":"b"},)"
                                R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                R"("b.bias":{"dtype":"I64","shape":[2],"data_offsets":[24,40]},)"
                                R"("c":{"dtype":"BF16","shape":[3,1,1],"data_offsets":[40,46]},)"
                                R"("d":{"dtype":"F16","shape":[],"data_offsets":[46,48]},)"
                                R"("e":{"dtype":"U8","shape":[0,4],"data_offsets":[48,48]},)"
                                R"("f":{"dtype":"BOOL","shape":[4],"data_offsets":[48,52]}}   )",
                                std::string(52, '\x7f'));
}

std::string damaged(const std::string& honest, std::uint64_t seed) {
  const Rng rng(seed, Rng::stream("damage"));
  std::uint64_t draw = 0;
  const auto below = [&](std::size_t n) {
    return static_cast<std::size_t>(rng.below(draw++, std::max<std::size_t>(n, 1)));
  };
  static const char* const kPieces[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        "\"",
                                        ",",
                                        ":",
                                        "-1",
                                        "0",
                                        "18446744073709551615",
                                        "1e400",
                                        "null",
                                        "F64",
                                        "4611686018427387904",
                                        "\\u0000",
                                        "\xff",
                                        "__metadata__",
                                        "[[[["};
  std::string text = honest;
  for (std::size_t changes = 1 + below(3); changes > 0 && !text.empty(); --changes) {
    const std::size_t at = below(text.size());
    switch (below(7)) {
      case 0:
        text[at] = static_cast<char>(below(256));
        break;
      case 1:
        text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 2:
        text.erase(at, 1 + below(8));
        break;
      case 3:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 4:
        text.insert(at, text.substr(below(text.size()), below(60)));
        break;
      case 5:
        text.resize(at);
        break;
      default: {  // a number becomes another: the likeliest lie
        const std::size_t digit = text.find_first_of("0123456789", at);
        if (digit != std::string::npos) text[digit] = static_cast<char>('0' + below(10));
      }
    }
  }
  if (below(2) == 0 && text.size() > 8) {  // a header length that fits again, so that the damage is reached
    const std::size_t end = text.rfind('}');
    if (end != std::string::npos && end >= 8) {
      const std::uint64_t length = end - 7;
      std::copy_n(reinterpret_cast<const char*>(&length), sizeof(length), text.begin());
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a damaged safetensors file is read or refused, never worse") {
  const std::string honest = honest_file();
  REQUIRE(test::read_everything(test::to_bytes(honest)) == 6);
  int read = 0, refused = 0;
  for (std::uint64_t seed = 0; seed < 6000; ++seed) {
    try {
      test::read_everything(test::to_bytes(damaged(honest, seed)));
      ++read;
    } catch (const Error& error) {
      ++refused;
      if (std::string(error.what()).find("fuzz: ") != 0) FAIL("the file is not named: ", error.what());
    } catch (const std::exception& other) {
      FAIL("seed ", seed, " brought out ", other.what());
    }
  }
  CHECK(read > 50);  // damage to the data alone is no damage
  CHECK(refused > 3000);
}

}  // namespace safetensors_fuzz_test
