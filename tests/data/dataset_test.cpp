// Datasets and the loader: what is found, in which order, what is odd and what is refused; a bad image among good ones.

#include "d3ad/data/dataset.hpp"

#include <doctest/doctest.h>

#include "d3ad/data/dataset_check.hpp"
#include "d3ad/data/image_loader.hpp"
#include "support/temporary_folder.hpp"

namespace dataset_test {

using namespace d3ad;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, int shade = 0, int width = 8, int height = 6) {
  create_folders(path.parent_path());
  Image image(width, height, 3);
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

TEST_CASE("VisA's layout: its list says what is good, every mask value above 0 is foreground") {
  const test::TemporaryFolder folder;
  const auto root = folder.path();
  const std::string normal = "candle/Data/Images/Normal/", anomaly = "candle/Data/Images/Anomaly/";
  for (const char* name : {"0.png", "1.png", "2.png"}) put(root / (normal + name));
  put(root / (anomaly + "000.png"));
  put(root / (anomaly + "001.png"));
  put(root / "candle/Data/Masks/Anomaly/000.png", 2);
  const auto list = root / "split_csv/1cls.csv";
  create_folders(list.parent_path());
  const std::string header = "object,split,label,image,mask\r\n";
  const std::string rows = "candle,train,normal," + normal + "0.png,\r\n\"candle\",train,normal," + normal +
                           "2.png,\r\ncandle,test,normal," + normal + "1.png,\r\ncandle,test,anomaly," + anomaly +
                           "000.png,candle/Data/Masks/Anomaly/000.png\r\ncandle,test,anomaly," + anomaly +
                           "001.png,\r\ncapsules,train,normal,capsules/Data/Images/Normal/0.png,\r\n";
  write_atomically(list, std::string_view(header + rows));
  const auto d = open_dataset(root, "candle");
  CHECK(d.layout == Layout::visa);
  REQUIRE(d.train.size() == 2);
  CHECK(d.train[1].image == root / (normal + "2.png"));
  REQUIRE(d.test.size() == 3);
  CHECK_FALSE(d.test[0].anomalous());
  CHECK(d.test[1].defect == "anomaly");
  REQUIRE(d.test[1].mask);
  CHECK(sample_mask(d.test[1]).pixels == std::vector<std::uint8_t>(48, 255));
  REQUIRE(d.warnings.size() == 1);
  CHECK(test::contains(d.warnings[0], "1 faulty test images of 'candle' have no mask in the list"));
  CHECK(open_dataset(root / "candle" / "", "").train.size() == 2);
  CHECK(list_categories(root) == std::vector<std::string>{"candle"});

  const auto refused = [&](const std::string& text) {
    write_atomically(list, std::string_view(text));
    return test::refusal([&] { open_dataset(root, "candle"); });
  };
  using test::contains;
  CHECK(contains(refused(header + "candle,train,normal,../outside.png,\n"), "which is not inside the dataset"));
  CHECK(contains(refused(header + "candle,train,normal,/etc/passwd,\n"), "which is not inside the dataset"));
  CHECK(contains(refused(header + "candle,train,anomaly,a.png,\n"), "a faulty image among those to learn from"));
  CHECK(contains(refused(header + "candle,training\n"), "line 2"));
  CHECK(contains(refused(header + "other,train,normal,a.png,\n"), "there are: other"));
  CHECK(contains(refused(header + "candle,test,normal,a.png,\n"), "holds no good images"));
  CHECK(contains(refused("image,label\n"), "does not begin with object,split,label,image,mask"));
  CHECK(contains(refused(""), "does not begin with"));
  fs::remove(list);
  CHECK(contains(test::refusal([&] { open_dataset(root, "candle"); }), "it has no split_csv/1cls.csv"));
}

TEST_CASE("BTAD's layout: ok and ko, .png and .bmp") {
  const test::TemporaryFolder folder;
  const auto root = folder.path();
  for (const char* name : {"train/ok/0.png", "train/ok/1.png", "test/ok/0.png", "test/ko/0.png", "test/ko/1.png"})
    put(root / "01" / name);
  fs::rename(root / "01/train/ok/1.png", root / "01/train/ok/1.bmp");  // the content says what it is
  put(root / "01/ground_truth/ko/0.png");
  fs::rename(root / "01/ground_truth/ko/0.png", root / "01/ground_truth/ko/0.bmp");
  const auto d = open_dataset(root, "01");
  CHECK(d.layout == Layout::btad);
  CHECK(d.train.size() == 2);
  REQUIRE(d.test.size() == 3);
  CHECK(d.test[0].defect == "ko");
  CHECK(d.test[0].mask);
  CHECK_FALSE(d.test[1].mask);
  CHECK_FALSE(d.test[2].anomalous());
  CHECK(d.warnings.size() == 1);
}

TEST_CASE("a list names good images beside itself or anywhere") {
  const test::TemporaryFolder folder;
  put(folder.path() / "set/\xc3\xa4.png");
  put(folder.path() / "b.png");
  write_atomically(folder / "good.txt", "\xEF\xBB\xBFset/\xc3\xa4.png\r\n\n" + (folder / "b.png").string() + "\n");
  const auto d = open_dataset(folder / "good.txt", "");
  CHECK(d.layout == Layout::list);
  CHECK(d.category == "good");
  REQUIRE(d.train.size() == 2);
  for (const auto& s : d.train) CHECK(read_image(s.image).width == 8);
  using test::contains;
  CHECK(contains(test::refusal([&] { open_dataset(folder / "good.txt", "bottle"); }), "has no category 'bottle'"));
  CHECK(contains(test::refusal([&] { open_dataset(folder / "b.png", ""); }), "is one image"));
  write_atomically(folder / "good.txt", std::string_view("\n"));
  CHECK(contains(test::refusal([&] { open_dataset(folder / "good.txt", ""); }), "names no images"));
}

TEST_CASE("a check counts what is there and warns about problems") {
  const test::TemporaryFolder folder;
  const auto root = folder.path() / "nut";
  for (int i = 0; i < 22; ++i) put(root / "train/good" / (std::to_string(i) + ".png"), i);
  put(root / "test/good/0.png", 100);
  put(root / "test/crack/0.png", 101);
  put(root / "test/crack/1.png", 102);
  put(root / "ground_truth/crack/0_mask.png", 255);
  put(root / "ground_truth/crack/1_mask.png", 255);
  const auto checked = [&] { return check_dataset(open_dataset(folder.path(), "nut")); };
  const auto clean = checked();
  CHECK(clean.train == 22);
  CHECK(clean.good_tests == 1);
  CHECK(clean.faulty_tests == 2);
  CHECK(clean.masks == 2);
  CHECK(clean.defects == std::map<std::string, int>{{"crack", 2}, {"good", 1}});
  CHECK(clean.sizes == std::map<std::pair<int, int>, int>{{{8, 6}, 25}});
  CHECK(clean.warnings.empty());
  CHECK(clean.unreadable.empty());

  put(root / "train/good/21.png", 20);                     // a copy of another
  put(root / "test/good/0.png", 7);                        // a training image again
  put(root / "test/good/1.png", 103, 20, 6);               // of another size, and long
  put(root / "ground_truth/crack/0_mask.png", 255, 4, 6);  // not its image's size
  put(root / "ground_truth/crack/1_mask.png", 0);          // nothing
  put(root / "ground_truth/crack/2_mask.png", 255);        // of no image
  write_atomically(root / "test/good/2.png", std::string_view("broken"));
  const auto bad = checked();
  REQUIRE(bad.unreadable.size() == 1);
  CHECK(test::contains(bad.unreadable[0], "2.png"));
  std::string all;
  for (const auto& w : bad.warnings) all += w + "\n";
  for (const char* text : {"1 test images are training images too", "1 training images are copies of others",
                           "1 masks have another size than their image", "(4 x 6, its image 8 x 6)",
                           "1 masks of faulty images show nothing", "1 masks belong to no test image",
                           "images of 2 sizes (25 of 8 x 6, 1 of 20 x 6)", "images of 20 x 6 become squares"}) {
    CAPTURE(text);
    CHECK(test::contains(all, text));
  }
  CHECK(bad.warnings.size() == 7);

  fs::remove_all(root / "test");
  for (int i = 3; i < 22; ++i) fs::remove(root / "train/good" / (std::to_string(i) + ".png"));
  const auto few = checked();
  REQUIRE(few.warnings.size() == 2);
  CHECK(test::contains(few.warnings[0], "only 3 good images to learn from"));
  CHECK(test::contains(few.warnings[1], "there are no test images"));
  CHECK_THROWS_AS(check_dataset(
                      open_dataset(folder.path(), "nut"), [](auto, auto) {}, [] { return true; }),
                  Interrupted);
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

}  // namespace dataset_test
