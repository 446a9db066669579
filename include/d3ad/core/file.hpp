#pragma once
// Files on POSIX systems: read whole, map, replace atomically, lock a folder.
//
//   std::string text = read_file("config.json", 1 << 20);     Error if it is larger than 1 MiB
//   for (const std::string& line : read_lines("list.txt")) ...
//   MappedFile file("unet.safetensors");  file.bytes()         read-only, read by the system as it is touched
//   write_atomically("config.json", text);                     the old file or the new one, never a part
//   AtomicFile out("big.bin");  out.write(p, n);  out.commit();
//   write_growing("events", text);                             appends what is new, for programs that follow the file
//   create_folders("out/maps");
//   FolderLock lock("model");                                  Error if another process holds it
//
// Every failure is an Error that names the file, the system's reason and what to do.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"

namespace d3ad {

namespace detail {

// What to do about a failed system call.
inline const char* advice(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or choose another disk";
    case EFBIG:
      return "raise the limit on file sizes (ulimit -f) or choose another disk";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a place you have access to, or change its permissions";
    case ENOENT:
      return "check the name; no such file or folder exists";
    case ENOTDIR:
    case EEXIST:
      return "check the name; a file stands where a folder is needed";
    case EISDIR:
      return "give a file, not a folder";
    case EMFILE:
    case ENFILE:
      return "close some files or raise the limit (ulimit -n)";
    case ENAMETOOLONG:
      return "choose a shorter name";
    case ENOMEM:
      return "free some memory";
    default:
      return "check the disk and try again";
  }
}

[[noreturn]] inline void fail_system(const char* what, const std::filesystem::path& path, int error) {
  fail(what, " '", path.string(), "': ", std::generic_category().message(error), "; ", advice(error));
}

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  // Closes now; 0 or the error. Some file systems report a full disk only here.
  int close() {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 || ::close(fd) == 0 ? 0 : errno;
  }

 private:
  int fd_ = -1;
};

// Opens a regular file for reading; anything else (a folder, a pipe that would block, a device) is refused.
inline Descriptor open_regular(const std::filesystem::path& path, struct stat& info) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) fail_system("cannot open", path, errno);
  if (::fstat(file.get(), &info) != 0) fail_system("cannot examine", path, errno);
  D3AD_CHECK(!S_ISDIR(info.st_mode), "cannot read '", path.string(), "': it is a folder; give a file");
  D3AD_CHECK(S_ISREG(info.st_mode), "cannot read '", path.string(), "': it is not a regular file");
  return file;
}

// A full or failing disk is known only after fsync; file systems without it say EINVAL.
inline int sync(int fd) {
  int status = 0;
  do status = ::fsync(fd);
  while (status != 0 && errno == EINTR);
  return status == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
}

// All of it, or the error.
inline int write_all(int fd, const void* data, std::size_t size) {
  const auto* p = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t put = ::write(fd, p, std::min<std::size_t>(size, std::size_t{1} << 30));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? errno : ENOSPC;
    p += put;
    size -= static_cast<std::size_t>(put);
  }
  return 0;
}

inline constexpr std::string_view kTemporaryPrefix = ".d3ad-", kTemporarySuffix = ".tmp";

}  // namespace detail

// The whole file; Error if it holds more than max_bytes.
inline std::string read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  struct stat info {};
  const detail::Descriptor file = detail::open_regular(path, info);
  const auto too_large = [&] {
    fail("cannot read '", path.string(), "': it is larger than ", max_bytes, " bytes, the most that is accepted here");
  };
  const auto stated = static_cast<std::size_t>(info.st_size);
  if (stated > max_bytes) too_large();
  std::string bytes;
  std::size_t size = 0;
  for (;;) {  // until its end: the stated size is a hint (it is 0 in /proc, and the file may grow)
    if (size == bytes.size()) bytes.resize(size < stated ? stated + 1 : size + (std::size_t{1} << 16));
    const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) detail::fail_system("cannot read", path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > max_bytes) too_large();
  }
  bytes.resize(size);
  return bytes;
}

// Lines of a text file, without their ends and without empty ones.
inline std::vector<std::string> read_lines(const std::filesystem::path& path) {
  const std::string text = read_file(path, std::size_t{64} << 20);
  std::vector<std::string> out;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string line = text.substr(start, end - start);
    if (out.empty() && start == 0 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // a mark some editors put
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) out.push_back(std::move(line));
    start = end + 1;
  }
  return out;
}

// A file mapped read-only. To change a file that may be mapped, replace it (AtomicFile does): if a file is cut short in
// place, its mapped pages are gone too.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path) {
    struct stat info {};
    const detail::Descriptor file = detail::open_regular(path, info);
    size_ = static_cast<std::size_t>(info.st_size);
    if (size_ == 0) return;
    void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (data == MAP_FAILED) detail::fail_system("cannot map", path, errno);
    data_ = static_cast<std::byte*>(data);
  }
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (data_) ::munmap(data_, size_);
  }

  std::span<const std::byte> bytes() const { return {data_, data_ ? size_ : 0}; }
  std::size_t size() const { return size_; }

  // Gives back the memory of pages read so far; they are read from the file again when touched.
  void release_pages(std::size_t offset, std::size_t count) const {
    static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (!data_ || offset >= size_) return;
    const std::size_t end = offset + std::min(count, size_ - offset);
    const std::size_t first = (offset + page - 1) / page * page, last = end / page * page;
    if (first < last) ::madvise(data_ + first, last - first, MADV_DONTNEED);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Writes under a temporary name in the same folder; commit() puts it in its place. Without commit nothing changes and
// the temporary file goes.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path) : path_(path) {
    std::error_code ignored;
    if (std::filesystem::is_symlink(path_, ignored)) {  // the file behind a link is replaced, the link stays
      const auto target = std::filesystem::canonical(path_, ignored);
      if (!ignored) path_ = target;
    }
    struct stat old {};
    const bool exists = ::stat(path_.c_str(), &old) == 0;
    D3AD_CHECK(!exists || !S_ISDIR(old.st_mode), "cannot write '", path_.string(),
               "': it is a folder; choose another name");
    D3AD_CHECK(!exists || S_ISREG(old.st_mode), "cannot write '", path_.string(),
               "': it is not a regular file; choose another name");
    static std::atomic<unsigned> counter{0};
    for (int attempt = 0; attempt < 1000 && !file_; ++attempt) {
      temporary_ =
          folder() / concat(detail::kTemporaryPrefix, ::getpid(), '-', counter.fetch_add(1), detail::kTemporarySuffix);
      file_ = detail::Descriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      if (!file_ && errno != EEXIST) break;
    }
    if (!file_) detail::fail_system("cannot write", path_, errno);
    if (exists) static_cast<void>(::fchmod(file_.get(), old.st_mode & 0777));
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() { discard(); }

  void write(const void* data, std::size_t size) {
    D3AD_CHECK(file_, "cannot write '", path_.string(), "': it is committed already");
    if (const int error = detail::write_all(file_.get(), data, size)) give_up(error);
  }
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

  void commit() {
    D3AD_CHECK(file_, "cannot write '", path_.string(), "': it is committed already");
    if (const int error = detail::sync(file_.get())) give_up(error);
    if (const int error = file_.close()) give_up(error);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) give_up(errno);
    temporary_.clear();
    const detail::Descriptor in(::open(folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!in) return;  // a folder that may be written but not read: its entry reaches the disk a little later
    if (const int error = detail::sync(in.get())) detail::fail_system("cannot make sure of", path_, error);
  }

 private:
  std::filesystem::path folder() const { return path_.has_parent_path() ? path_.parent_path() : "."; }
  [[noreturn]] void give_up(int error) {
    discard();
    detail::fail_system("cannot write", path_, error);
  }
  void discard() noexcept {
    file_.close();
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }

  std::filesystem::path path_, temporary_;
  detail::Descriptor file_;
};

inline void write_atomically(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}
inline void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  write_atomically(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// The file holds `bytes` from here on. If it holds a beginning of them, the rest is appended, so that a program that
// has it open sees it grow (a power failure meanwhile may leave a longer beginning). Any other file is replaced
// atomically.
inline void write_growing(const std::filesystem::path& path, std::string_view bytes) {
  const detail::Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  const bool regular = file && ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode);
  const auto begins = [&] {
    const MappedFile before(path);
    return bytes.starts_with({reinterpret_cast<const char*>(before.bytes().data()), before.size()});
  };
  if (!regular || !begins()) return write_atomically(path, bytes);
  bytes.remove_prefix(static_cast<std::size_t>(info.st_size));
  if (bytes.empty()) return;
  int error = detail::write_all(file.get(), bytes.data(), bytes.size());
  if (!error) error = detail::sync(file.get());
  if (!error) return;
  if (::ftruncate(file.get(), info.st_size) != 0) error = errno;  // what was there stays
  detail::fail_system("cannot write", path, error);
}

// Makes the folder and those above it; one that is there already is fine.
inline void create_folders(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && !std::filesystem::is_directory(path, error) && !error) error = {EEXIST, std::generic_category()};
  if (error) detail::fail_system("cannot create the folder", path, error.value());
}

// Held while a process writes a model: a second writer gets an Error, so that two writers cannot mix their files. The
// lock ends with the process, however that ends, and leaves no file behind. Temporary files of writers that were killed
// are removed, in the folder and in those of its folders that are named: nobody else writes there now.
class FolderLock {
 public:
  FolderLock() = default;
  explicit FolderLock(const std::filesystem::path& folder, std::initializer_list<const char*> within = {})
      : file_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!file_) detail::fail_system("cannot open the folder", folder, errno);
    int status = 0;
    do status = ::flock(file_.get(), LOCK_EX | LOCK_NB);
    while (status != 0 && errno == EINTR);
    D3AD_CHECK(status == 0 || errno != EWOULDBLOCK, "the folder '", folder.string(),
               "' is being written by another process; wait until it is done or choose another folder");
    // Other failures mean a file system without locks: better to work there unprotected than not at all.
    if (status != 0) return;
    remove_leftovers(folder);
    for (const char* name : within) remove_leftovers(folder / name);
  }

 private:
  static void remove_leftovers(const std::filesystem::path& folder) {
    std::error_code ignored;
    for (std::filesystem::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored)) {
      const std::string name = it->path().filename().string();
      if (name.starts_with(detail::kTemporaryPrefix) && name.ends_with(detail::kTemporarySuffix))
        ::unlink(it->path().c_str());
    }
  }

  detail::Descriptor file_;
};

}  // namespace d3ad
