// Where the small pretrained networks are that come with the program.

#include <array>
#include <cstdlib>
#include <d3ad/core/check.hpp>

#include "program.hpp"

namespace program {

std::filesystem::path shipped_network(const std::string& name, const std::string& option) {
  namespace fs = std::filesystem;
  if (const char* const folder = std::getenv("D3AD_NETWORKS")) {
    const fs::path path = fs::path(folder) / name;
    D3AD_CHECK(fs::exists(path), "D3AD_NETWORKS is '", folder, "', but there is no '", name, "' in it");
    return path;
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& folder : std::array{program / "share" / "d3ad", program.parent_path() / "share" / "d3ad"})
    if (!error && fs::exists(folder / name)) return folder / name;
  d3ad::fail("'", name, "', which comes with d3ad, is not beside the program (share/d3ad); give ", option,
             ", or the folder it is in as D3AD_NETWORKS");
}

}  // namespace program
