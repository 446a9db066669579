// CRC-32C against the examples of RFC 3720 (B.4).

#include "d3ad/core/crc32c.hpp"

#include <doctest/doctest.h>

#include <string>

namespace crc32c_test {

using d3ad::crc32c;

TEST_CASE("CRC-32C gives the published checksums") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  std::string up, down;
  for (char i = 0; i < 32; ++i) up += i, down.insert(down.begin(), i);
  CHECK(crc32c(up) == 0x46dd794e);
  CHECK(crc32c(down) == 0x113fdb5c);
}

}  // namespace crc32c_test
