// Files: read whole, mapped, replaced atomically; folders made and locked; each failure a sentence, nothing left
// behind.

#include "d3ad/core/file.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/temporary_folder.hpp"

namespace file_test {

using namespace d3ad;
using test::contains;
using test::refusal;

namespace {

// A disk that is full after `bytes`: the process's own limit on file sizes.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    old_action_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_action_);
  }

 private:
  rlimit old_{};
  void (*old_action_)(int) = SIG_DFL;
};

}  // namespace

TEST_CASE("a file is read back as written, up to a limit") {
  const test::TemporaryFolder folder;
  const std::string text = std::string(100'000, 'x') + std::string("a\0b", 3);
  write_atomically(folder / "a", text);
  CHECK(read_file(folder / "a", text.size()) == text);
  const std::string why = refusal([&] { read_file(folder / "a", text.size() - 1); });
  CHECK(contains(why, "larger than 100002 bytes"));
  CHECK(contains(why, (folder / "a").string()));

  write_atomically(folder / "empty", "");
  CHECK(read_file(folder / "empty", 10).empty());
  CHECK(read_file("/proc/self/stat", 1 << 20).size() > 10);  // its stated size is 0
  CHECK(folder.entries() == 2);                              // no temporary file is left
}

TEST_CASE("what cannot be read is refused with a reason") {
  const test::TemporaryFolder folder;
  CHECK(contains(refusal([&] { read_file(folder / "none", 10); }), "No such file"));
  CHECK(contains(refusal([&] { read_file(folder.path(), 10); }), "it is a folder"));
  CHECK(contains(refusal([&] { read_file("/dev/zero", 10); }), "not a regular file"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(contains(refusal([&] { read_file(folder / "pipe", 10); }), "not a regular file"));  // and does not wait
  CHECK(contains(refusal([&] { MappedFile file(folder / "none"); }), "No such file"));
  CHECK(contains(refusal([&] { MappedFile file(folder.path()); }), "it is a folder"));
}

TEST_CASE("a mapped file shows its bytes and moves") {
  const test::TemporaryFolder folder;
  std::string text(20'006, '.');
  text.replace(0, 6, "mapped");
  write_atomically(folder / "a", text);
  MappedFile first(folder / "a");
  MappedFile second = std::move(first);
  CHECK(first.bytes().empty());
  REQUIRE(second.size() == text.size());
  CHECK(std::memcmp(second.bytes().data(), text.data(), text.size()) == 0);
  second.release_pages(1, 1 << 30);
  CHECK(std::memcmp(second.bytes().data(), text.data(), text.size()) == 0);
  first = std::move(second);
  CHECK(first.size() == text.size());

  // Replacing the file leaves the mapping as it was.
  write_atomically(folder / "a", "new");
  CHECK(std::memcmp(first.bytes().data(), text.data(), text.size()) == 0);
  CHECK(read_file(folder / "a", 10) == "new");

  write_atomically(folder / "empty", "");
  CHECK(MappedFile(folder / "empty").bytes().empty());
}

TEST_CASE("a file is replaced as a whole or not at all") {
  const test::TemporaryFolder folder;
  write_atomically(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new and unfinished");
    CHECK(read_file(folder / "a", 100) == "old");
    CHECK(folder.entries() == 2);
  }
  CHECK(folder.entries() == 1);
  CHECK(read_file(folder / "a", 100) == "old");
  {
    AtomicFile file(folder / "a");
    file.write("new ");
    file.write("and finished");
    file.commit();
    CHECK(contains(refusal([&] { file.write("more"); }), "committed already"));
  }
  CHECK(read_file(folder / "a", 100) == "new and finished");
  CHECK(folder.entries() == 1);
}

TEST_CASE("permissions and links outlive a replacement") {
  const test::TemporaryFolder folder;
  write_atomically(folder / "a", "old");
  REQUIRE(::chmod((folder / "a").c_str(), 0600) == 0);
  std::filesystem::create_symlink("a", folder / "link");
  write_atomically(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_file(folder / "a", 10) == "new");
  struct stat info {};
  REQUIRE(::stat((folder / "a").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("a full disk leaves the old file and nothing else") {
  const test::TemporaryFolder folder;
  write_atomically(folder / "a", "old");
  const std::string large(100'000, 'x');
  std::string why;
  {
    const FullDisk full(4096);
    why = refusal([&] { write_atomically(folder / "a", large); });
  }
  CHECK(contains(why, "cannot write '" + (folder / "a").string() + "'"));
  CHECK(contains(why, "File too large"));
  CHECK(contains(why, "; raise the limit"));
  CHECK(read_file(folder / "a", 10) == "old");
  CHECK(folder.entries() == 1);
  write_atomically(folder / "a", large);  // the same with room for it
  CHECK(read_file(folder / "a", 1 << 20) == large);
}

TEST_CASE("a growing file is appended to, or replaced where it began otherwise") {
  const test::TemporaryFolder folder;
  const auto inode = [&] {
    struct stat info {};
    REQUIRE(::stat((folder / "a").c_str(), &info) == 0);
    return info.st_ino;
  };
  write_growing(folder / "a", "one ");
  const auto before = inode();
  write_growing(folder / "a", "one two ");
  write_growing(folder / "a", "one two ");
  CHECK(read_file(folder / "a", 100) == "one two ");
  CHECK(inode() == before);
  std::filesystem::create_hard_link(folder / "a", folder / "old");  // so that its inode is not given again
  write_growing(folder / "a", "One two three");
  CHECK(read_file(folder / "a", 100) == "One two three");
  CHECK(inode() != before);
  write_growing(folder / "a", "One");  // shorter
  CHECK(read_file(folder / "a", 100) == "One");
  write_atomically(folder / "a", "");
  write_growing(folder / "a", "from nothing");
  CHECK(read_file(folder / "a", 100) == "from nothing");
  CHECK(contains(refusal([&] { write_growing(folder.path(), "x"); }), "it is a folder"));
  CHECK(contains(refusal([] { write_growing("/dev/full", "x"); }), "not a regular file"));

  const std::string large = "from nothing" + std::string(100'000, 'x');
  std::string why;
  {
    const FullDisk full(4096);
    why = refusal([&] { write_growing(folder / "a", large); });
  }
  CHECK(contains(why, "cannot write '" + (folder / "a").string() + "': File too large; raise the limit"));
  CHECK(read_file(folder / "a", 1 << 20) == "from nothing");
}

TEST_CASE("places that cannot be written are refused") {
  const test::TemporaryFolder folder;
  CHECK(contains(refusal([&] { write_atomically(folder.path(), "x"); }), "it is a folder"));
  CHECK(contains(refusal([&] { write_atomically(folder / "none/a", "x"); }), "No such file"));
  CHECK(contains(refusal([] { write_atomically("/dev/full", "x"); }), "not a regular file"));
  CHECK(std::filesystem::exists("/dev/full"));
  CHECK(contains(refusal([] { write_atomically("/proc/d3ad", "x"); }), "cannot write '/proc/d3ad'"));
  write_atomically(folder / "a", "x");
  CHECK(contains(refusal([&] { write_atomically(folder / "a/b", "x"); }), "cannot write"));

  if (::geteuid() != 0) {  // the administrator writes anywhere
    std::filesystem::create_directory(folder / "closed");
    REQUIRE(::chmod((folder / "closed").c_str(), 0500) == 0);
    CHECK(contains(refusal([&] { write_atomically(folder / "closed/a", "x"); }), "Permission denied"));
  }
}

TEST_CASE("folders are made, those above them too") {
  const test::TemporaryFolder folder;
  create_folders(folder / "a/b/c");
  create_folders(folder / "a/b/c");
  CHECK(std::filesystem::is_directory(folder / "a/b/c"));
  write_atomically(folder / "file", "x");
  CHECK(contains(refusal([&] { create_folders(folder / "file"); }), "cannot create the folder"));
  CHECK(contains(refusal([&] { create_folders(folder / "file/below"); }), "a file stands where a folder is needed"));
  CHECK(contains(refusal([] { create_folders("/proc/d3ad"); }), "cannot create the folder '/proc/d3ad'"));
}

TEST_CASE("a folder has one writer") {
  const test::TemporaryFolder folder;
  write_atomically(folder / ".d3ad-1-1.tmp", "left by a killed writer");
  write_atomically(folder / "kept.tmp", "x");
  {
    FolderLock first(folder.path());
    CHECK(folder.entries() == 1);
    CHECK(contains(refusal([&] { FolderLock second(folder.path()); }), "is being written by another process"));
    const FolderLock moved = std::move(first);
    CHECK(!refusal([&] { FolderLock second(folder.path()); }).empty());
  }
  CHECK(refusal([&] { FolderLock again(folder.path()); }).empty());
  for (const char* within : {"work", "other"}) {
    create_folders(folder / within);
    write_atomically(folder / within / ".d3ad-1-1.tmp", "left by a killed writer");
  }
  CHECK(refusal([&] { FolderLock again(folder.path(), {"work", "none"}); }).empty());
  CHECK(std::filesystem::is_empty(folder / "work"));
  CHECK(!std::filesystem::is_empty(folder / "other"));
  CHECK(contains(refusal([&] { FolderLock lock(folder / "none"); }), "No such file"));
}

}  // namespace file_test
