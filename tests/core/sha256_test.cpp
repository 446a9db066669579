// SHA-256 against the examples of FIPS 180 and NIST, in any number of pieces.

#include "d3ad/core/sha256.hpp"

#include <doctest/doctest.h>

namespace sha256_test {

using d3ad::Sha256;

TEST_CASE("SHA-256 gives the published digests") {
  const auto digest = [](const std::string& text) {
    Sha256 hash;
    hash.update(text);
    return hash.hex();
  };
  CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digest(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 does not depend on the pieces") {
  const std::string text(1000, 'x');
  Sha256 whole;
  whole.update(text);
  const auto want = whole.hex();
  for (const std::size_t piece : {1u, 7u, 63u, 64u, 65u, 999u}) {
    Sha256 hash;
    for (std::size_t at = 0; at < text.size(); at += piece) hash.update(text.substr(at, piece));
    CHECK(hash.hex() == want);
  }
}

}  // namespace sha256_test
