// Datasets and the loader: what is found, in which order, what is odd and what is refused; a bad image among good ones.

#include "d3ad/pipeline/dataset.hpp"

#include <doctest/doctest.h>

#include "d3ad/pipeline/image_loader.hpp"
#include "support/temporary_folder.hpp"

using namespace d3ad;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, int shade = 0) {
  create_folders(path.parent_path());
  Image image(8, 6, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), static_cast<std::uint8_t>(shade));
  write_png(path, image);
}

}  // namespace

TEST_CASE("MVTec AD's layout: sorted, with masks, without what is hidden or no image") {
  const test::TemporaryFolder folder;
  const auto root = folder.path();
  for (const char* name : {"train/good/002.png", "train/good/000.png", "train/good/001.png", "test/good/000.png",
                           "test/crack/000.png", "test/crack/001.png", "test/spot/000.png"})
    put(root / "bottle" / name);
  put(root / "bottle/ground_truth/crack/000_mask.png");
  put(root / "bottle/ground_truth/spot/000.png");
  put(root / "bottle/train/good/.hidden.png");
  write_atomically(root / "bottle/train/good/readme.txt", std::string_view("no image"));
  const auto d = open_dataset(root, "bottle");
  CHECK(d.layout == Layout::mvtec);
  REQUIRE(d.train.size() == 3);
  CHECK(d.train[0].image.filename() == "000.png");
  CHECK(d.train[2].image.filename() == "002.png");
  REQUIRE(d.test.size() == 4);
  CHECK(d.test[0].defect == "crack");
  CHECK(d.test[0].mask);
  CHECK_FALSE(d.test[1].mask);
  CHECK_FALSE(d.test[2].anomalous());
  CHECK(d.test[3].mask);
  REQUIRE(d.warnings.size() == 1);
  CHECK(test::contains(d.warnings[0], "1 faulty test images of 'bottle' have no mask"));
  CHECK(list_categories(root) == std::vector<std::string>{"bottle"});
  CHECK(open_dataset(root / "bottle", "").category == "bottle");
}

TEST_CASE("any folder of images is a set of good ones") {
  const test::TemporaryFolder folder;
  put(folder / "b.png");
  put(folder / "a.png");
  const auto d = open_dataset(folder.path(), "");
  CHECK(d.layout == Layout::folder);
  REQUIRE(d.train.size() == 2);
  CHECK(d.train[0].image.filename() == "a.png");
  CHECK(d.test.empty());
}

TEST_CASE("datasets that are not there, or empty, are refused with what there is") {
  const test::TemporaryFolder folder;
  put(folder.path() / "bottle/train/good/0.png");
  const auto why = [&](const fs::path& root, const std::string& category, Layout layout = Layout::automatic) {
    return test::refusal([&] { open_dataset(root, category, layout); });
  };
  using test::contains;
  CHECK(contains(why(folder / "nowhere", ""), "is not there"));
  CHECK(contains(why(folder.path(), "bottel"), "there are: bottle"));
  CHECK(contains(why(folder.path(), "../x"), "is not a name of a folder"));
  CHECK(contains(why(folder / "bottle/train/good", "", Layout::mvtec), "has no folder train/good"));
  fs::remove(folder.path() / "bottle/train/good/0.png");
  CHECK(contains(why(folder.path(), "bottle"), "holds no good images"));
}

TEST_CASE("images, folders and lists become paths") {
  const test::TemporaryFolder folder;
  put(folder.path() / "set/b.png");
  put(folder.path() / "set/a.png");
  write_atomically(folder / "list.txt", std::string_view("x.png\r\n\ny.png"));
  const auto all = collect_images({folder / "one.png", folder / "set", folder / "list.txt"});
  REQUIRE(all.size() == 5);
  CHECK(all[0].filename() == "one.png");
  CHECK(all[1].filename() == "a.png");
  CHECK(all[3] == "x.png");
  CHECK(all[4] == "y.png");
  create_folders(folder / "empty");
  CHECK_THROWS_WITH_AS(collect_images({folder / "empty"}), doctest::Contains("holds no images"), Error);
}

TEST_CASE("the loader gives images in order, and a bad one as a sentence") {
  const test::TemporaryFolder folder;
  std::vector<fs::path> paths;
  for (int i = 0; i < 40; ++i) {
    paths.push_back(folder / (std::to_string(i) + ".png"));
    if (i == 7)
      write_atomically(paths.back(), std::string_view("broken"));
    else if (i != 9)
      put(paths.back(), i);
  }
  ImageLoader loader(paths, 64, 3);
  for (int i = 0; i < 40; ++i) {
    const auto item = loader.next();
    CHECK(item.path == paths[static_cast<std::size_t>(i)]);
    CHECK(item.error.empty() == (i != 7 && i != 9));
    if (!item.error.empty()) continue;
    CHECK(item.width == 8);
    CHECK(item.height == 6);
    CHECK(item.pixels.size() == 64 * 64 * 3);
    CHECK(item.pixels[0] == doctest::Approx(i / 127.5 - 1));
  }
  CHECK_THROWS_WITH_AS(loader.next(), doctest::Contains("were taken already"), Error);
}

TEST_CASE("a loader that is thrown away early stops") {
  const test::TemporaryFolder folder;
  put(folder / "a.png");
  ImageLoader unused(std::vector<fs::path>(500, folder / "a.png"), 64, 2);
  ImageLoader(std::vector<fs::path>(500, folder / "a.png"), 64, 2).next();
  ImageLoader(std::vector<fs::path>{}, 64);
}

TEST_CASE("the eight turns of an image are eight, and turning twice comes back") {
  const int size = 3;
  std::vector<float> image;
  for (int i = 0; i < size * size * 3; ++i) image.push_back(static_cast<float>(i));
  std::vector<std::vector<float>> all;
  for (int turn = 0; turn < 8; ++turn) {
    all.push_back(turn_image(image, size, turn));
    for (int other = 0; other < turn; ++other) CHECK(all[static_cast<std::size_t>(other)] != all.back());
    if (turn < 5) CHECK(turn_image(all.back(), size, turn) == image);
  }
}
