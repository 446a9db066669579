// The report page, tables of results, figures that need no network.

#include "d3ad/report/figure_bins-inl.hpp"
#include "d3ad/report/figure_noising-inl.hpp"
#include "d3ad/report/figure_panels-inl.hpp"
#include "d3ad/report/report-inl.hpp"
#include "d3ad/report/results_table-inl.hpp"

namespace d3ad {

template Report::Report(const Detector<Cpu>&);

}  // namespace d3ad
