// Makes a product line to try d3ad on: three products, good and faulty, in MVTec AD's layout. All of it is drawn.
//
//   make-sample OUT                                       cloth, board and links: 100 good images to learn from each
//   make-sample OUT --category board --train 200 --seed 5
//   d3ad train --data OUT --category board --model board
//
// Writes OUT/CATEGORY/train/good, test/good, test/{scratch,stain,part,deformation} and ground_truth/DEFECT. `cloth` is
// a woven texture, `board` an aligned object with parts, `links` are small objects at any angle; `part` is a part that
// is missing or out of place. The same seed gives the same images.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <d3ad/d3ad.hpp>
#include <exception>
#include <string>
#include <vector>

#include "../command_line.hpp"
#include "board.hpp"
#include "cloth.hpp"
#include "links.hpp"
#include "render.hpp"

namespace {

namespace fs = std::filesystem;
using namespace sample;

struct Options {
  fs::path out;
  std::vector<std::string> categories{Cloth::kName, Board::kName, Links::kName};
  int train = 100, good = 24, faulty = 12, size = 256;
  std::uint64_t seed = 0;
};

struct Job {
  fs::path photo, mask;  // mask empty: good
  Fault fault;
  std::uint64_t number;
};

std::vector<Job> jobs_of(const Options& o, const fs::path& folder) {
  std::vector<Job> jobs;
  std::uint64_t number = 0;
  const auto add = [&](const std::string& part, const std::string& defect, Fault fault, int count) {
    d3ad::create_folders(folder / part / defect);
    const fs::path masks = folder / "ground_truth" / defect;
    if (fault != Fault::none) d3ad::create_folders(masks);
    for (int i = 0; i < count; ++i) {
      const auto digits = std::to_string(i);
      const std::string name = std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits;
      jobs.push_back({folder / part / defect / (name + ".png"),
                      fault == Fault::none ? fs::path() : masks / (name + "_mask.png"), fault, number++});
    }
  };
  // Each part has numbers of its own, so that more images of one do not change the others.
  add("train", "good", Fault::none, o.train);
  number = 1'000'000;
  add("test", "good", Fault::none, o.good);
  for (const auto& [name, fault] : {std::pair{"scratch", Fault::scratch}, std::pair{"stain", Fault::stain},
                                    std::pair{"part", Fault::part}, std::pair{"deformation", Fault::deformation}}) {
    number = 1'000'000 * (1 + static_cast<std::uint64_t>(fault));
    add("test", name, fault, o.faulty);
  }
  return jobs;
}

template <class Product>
void make(const Options& o) {
  const auto jobs = jobs_of(o, o.out / Product::kName);
  std::string error;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    try {
      const Shot shot = take<Product>(o.seed, jobs[i].number, jobs[i].fault, o.size);
      d3ad::write_png(jobs[i].photo, shot.photo);
      if (!jobs[i].mask.empty()) d3ad::write_png(jobs[i].mask, shot.mask);
    } catch (const std::exception& what) {
#pragma omp critical
      error = what.what();
    }
  }
  D3AD_CHECK(error.empty(), error);
  std::printf("%s: %d good images to learn from; to test %d good, and %d each of scratch, stain, part, deformation\n",
              (o.out / Product::kName).c_str(), o.train, o.good, o.faulty);
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app{"Makes a product line to try d3ad on: three products, good and faulty, in MVTec AD's layout."};
  app.name("make-sample");
  Options o;
  app.add_option("OUT", o.out, "folder to write to")->required();
  app.add_option("--category", o.categories, "cloth, board, links; several may be given")
      ->capture_default_str()
      ->check(CLI::IsMember({Cloth::kName, Board::kName, Links::kName}));
  app.add_option("--train", o.train, "good images to learn from")->capture_default_str()->check(CLI::Range(1, 100000));
  app.add_option("--good", o.good, "good images to test")->capture_default_str()->check(CLI::Range(0, 100000));
  app.add_option("--faulty", o.faulty, "images to test of each type of defect")
      ->capture_default_str()
      ->check(CLI::Range(0, 100000));
  app.add_option("--size", o.size, "pixels a side")->capture_default_str()->check(CLI::Range(32, 2048));
  app.add_option("--seed", o.seed, "another seed, other images")->capture_default_str();
  if (const auto code = command_line::parse(app, argc, argv)) return *code;
  for (const auto& category : o.categories) {
    if (category == Cloth::kName) make<Cloth>(o);
    if (category == Board::kName) make<Board>(o);
    if (category == Links::kName) make<Links>(o);
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "make-sample: %s\n", error.what());
  return 2;
}
