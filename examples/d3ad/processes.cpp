// The processes that mpirun started, and how they end.

#include <cstdio>
#include <cstdlib>
#include <d3ad/parallel/mpi.hpp>
#include <memory>

#include "program.hpp"

namespace program {

namespace {

d3ad::Group* group = &d3ad::Group::alone();

// Whether a launcher started several processes that do not find each other, and this is not the first of them.
bool is_one_too_many() {
  if (group->size() > 1 || d3ad::launched_processes() == 1) return false;
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK"})
    if (const char* text = std::getenv(name)) return std::atoi(text) > 0;
  return false;
}

std::unique_ptr<d3ad::Group> join() {
  const int launched = d3ad::launched_processes();
#if defined(D3AD_MPI) && D3AD_MPI
  if (!d3ad::started_by_mpirun()) return std::make_unique<d3ad::Group>();
  auto joined = std::make_unique<d3ad::MpiGroup>();
  D3AD_CHECK(
      joined->size() > 1 || launched == 1, "started as one of ", launched,
      " processes that do not find each other: this mpirun is not of the MPI that d3ad was built with; use its own");
  return joined;
#else
  D3AD_CHECK(
      launched == 1, "started as one of ", launched,
      " processes, but this d3ad was built without MPI and they would do the same work over each other; build it "
      "with -DD3AD_MPI=ON, or start it without mpirun");
  return std::make_unique<d3ad::Group>();
#endif
}

}  // namespace

d3ad::Group& processes() { return *group; }

Processes::Processes() : joined_(join()) { group = joined_.get(); }
Processes::~Processes() { group = &d3ad::Group::alone(); }

int Processes::end(int exit_code, const std::string& line) noexcept {
  constexpr double kSeconds = 2;  // for the others to fail of the same
  std::vector<std::string> all;
  try {
    all = group->last_words(line, kSeconds);
  } catch (...) {
  }
  const bool said = !all.empty() && !group->first() && all[0] == all[static_cast<std::size_t>(group->rank())];
  if (!said && !is_one_too_many()) std::fprintf(stderr, "d3ad: %s\n", line.c_str());
  if (all.empty()) group->abort(exit_code);
  return exit_code;
}

void ProcessOptions::add(CLI::App& command) {
  command
      .add_option("--wait-seconds", wait_seconds,
                  "with mpirun: how long a process waits for the others before it ends with an error; 0: for ever")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
}

void ProcessOptions::apply(CommonOptions& common) const {
  processes().set_deadline(wait_seconds);
#if defined(D3AD_MPI) && D3AD_MPI
  if (const auto* mpi = dynamic_cast<const d3ad::MpiGroup*>(&processes())) {
    const auto [own, all] = mpi->bound_to();
    if (mpi->first() && own < all && !common.quiet && common.threads == 0)
      std::fprintf(stderr, "mpirun lets the processes use %d of %d processors; with --bind-to none they share all\n",
                   own, all);
  }
#endif
  if (common.threads == 0) common.threads = processes().threads();
  if (!processes().first()) common.quiet = true, common.save_plan.clear();
}

}  // namespace program
