#pragma once
// A folder of a test's own, gone with it.
//
//   test::TemporaryFolder folder;
//   write_atomically(folder / "a.bin", "...");

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "d3ad/core/check.hpp"

namespace d3ad::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "d3ad-test-XXXXXX").string();
    D3AD_CHECK(::mkdtemp(name.data()), "cannot make a temporary folder like ", name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  // Number of entries, hidden ones too.
  std::size_t entries() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path_)) ++count;
    return count;
  }

 private:
  std::filesystem::path path_;
};

// The sentence of the Error that `action` throws; "" where it throws none.
template <class Action>
std::string refusal(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace d3ad::test
