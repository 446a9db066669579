#pragma once
// Definitions of report/report.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/report/report.hpp"

namespace d3ad::detail {

inline const char* protocol_name(const std::string& protocol) {
  return protocol == "paper" ? "paper's protocol" : "calibrated";
}

// "D3AD, calibrated"; a baseline has one protocol, which says nothing of it.
inline std::string row_name(const std::string& method, const std::string& protocol, const std::string& of_model) {
  const std::string title = method_info(method).title;
  return method == of_model ? concat(title, ", ", protocol_name(protocol)) : "baseline: " + title;
}

}  // namespace d3ad::detail

namespace d3ad {

template <class Device>
Report::Report(const Detector<Device>& detector)
    : config_(detector.config()),
      calibration_(detector.calibration()),
      folder_(detector.folder()),
      largest_(detector.tiling().on() ? 640 : detector.image_size()),
      brightest_(detector.brightest()) {
  learned_ = detector.method().learned_attributes();
}

D3AD_INLINE void Report::add(const Sample& sample, const Detection& d) {
  const auto pictures =
      draw::detection_panels(d.input, d.reconstruction, d.map, d.width, d.height, brightest_, calibration_.threshold);
  const auto captions = draw::panel_captions(!d.reconstruction.empty());
  std::string panels;
  for (std::size_t i = 0; i < pictures.size(); ++i) panels += panel(captions[i].c_str(), pictures[i]);
  if (sample.mask) panels += panel("truth", draw::to_rgb(resize(sample_mask(sample), d.width, d.height)));
  panels_.push_back(std::move(panels));
}

D3AD_INLINE std::string Report::html(const EvaluationResult& result, const About& about) const {
  D3AD_CHECK(panels_.size() == result.images.size(), "report: ", panels_.size(), " pictures for ", result.images.size(),
             " images; call add() for each");
  const std::string title = "Anomaly report: " + config_.category;
  std::string out =
      concat("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" ",
             "content=\"width=device-width,initial-scale=1\"><title>", draw::html_escape(title), "</title><style>",
             report_page::kStyle, "</style></head><body>\n<h1>", draw::html_escape(title), "</h1>\n");
  out += summary(result);
  out += "<h2>Metrics</h2>\n" + metrics(result);
  out += "<h2>Curves and histograms</h2>\n<div class=\"charts\">" + charts(result) + "</div>\n";
  out += "<h2>Images</h2>\n" + gallery(result);
  out += "<h2>How it was made</h2>\n" + provenance(result, about);
  return out + "<script>" + report_page::kScript + "</script></body></html>\n";
}

D3AD_INLINE std::string Report::panel(const char* caption, const Image& picture) const {
  constexpr int kQuality = 88;
  const double scale = std::min(1.0, double{1} * largest_ / std::max(picture.width, picture.height));
  const auto side = [&](int length) { return std::max(1, static_cast<int>(std::lround(scale * length))); };
  const Image image = resize(picture, side(picture.width), side(picture.height));
  return concat("<figure><img loading=\"lazy\" alt=\"", caption, "\" src=\"data:image/jpeg;base64,",
                draw::base64(encode_jpeg(image, kQuality)), "\"><figcaption>", caption, "</figcaption></figure>");
}

D3AD_INLINE std::string Report::tile(const std::string& value, const char* what) {
  return concat("<div class=\"tile\"><b>", value, "</b>", what, "</div>");
}

D3AD_INLINE std::string Report::summary(const EvaluationResult& result) const {
  const VerdictCounts c = count_verdicts(result.images);
  std::string out = "<div class=\"tiles\">";
  out += tile(concat(c.found, " of ", c.faulty), "faulty images found");
  out += tile(concat(c.alarms, " of ", c.good), "good images called faulty");
  for (const auto& r : result.rows)
    if (r.defect == "all" && r.protocol == "calibrated" && r.method == config_.settings.method)
      out += tile(percent(r.i_auroc), "image AUROC, %") + tile(percent(r.p_auroc), "pixel AUROC, %");
  out += concat("</div>\n<p>Learned from ", config_.training_images, " good images. The threshold of ",
                fixed(calibration_.threshold, 4), " was set on ", calibration_.images, " good images ",
                config_.held_back_images ? "held back from that" : "among them", ", so that at most ",
                fixed(100 * double{calibration_.false_alarm_rate}, 1), " % of new good ones are called faulty");
  if (c.good) out += concat("; of this test set's good images it were ", fixed(100.0 * c.alarms / c.good, 1), " %");
  out += ".</p>\n";
  if (!result.skipped.empty()) {
    out += concat("<details open><summary>", result.skipped.size(), " left out</summary><ul>");
    for (const auto& s : result.skipped) out += "<li>" + draw::html_escape(s) + "</li>";
    out += "</ul></details>\n";
  }
  return out;
}

D3AD_INLINE std::string Report::metrics(const EvaluationResult& result) const {
  std::string out = "<div class=\"wide\"><table><thead><tr><th>method</th><th>defect</th><th>images</th>";
  for (const Metric& m : kMetrics) out += concat("<th>", m.title, "</th>");
  out += "</tr></thead><tbody>";
  for (const auto& r : result.rows) {
    out += concat(r.defect == "all" ? "<tr class=\"main\">" : "<tr>", "<td>",
                  draw::html_escape(detail::row_name(r.method, r.protocol, config_.settings.method)), "</td><td>",
                  draw::html_escape(r.defect), "</td><td>", r.images, "</td>");
    for (const Metric& m : kMetrics) out += "<td>" + percent(r.*m.value) + "</td>";
    out += "</tr>";
  }
  return out +
         "</tbody></table></div>\n<p class=\"soft\">Percent. Calibrated: ranges and threshold come from good "
         "images, as when a single image is judged. The paper's protocol scales all maps by the range of the "
         "whole test set.</p>\n";
}

template <class Draw>
std::string Report::chart(const draw::Axes& axes, Draw&& fill) {
  draw::Drawing d(420, 260);
  fill(d, draw::inside(d));
  return d.page_svg(axes.title);
}

D3AD_INLINE std::string Report::line_chart(const std::vector<draw::Series>& series, const draw::Axes& axes) {
  return chart(axes, [&](draw::Drawing& d, const draw::Area& area) { draw::line_chart(d, area, series, axes); });
}

D3AD_INLINE std::string Report::bar_chart(const std::vector<draw::Bars>& sets, const std::vector<std::string>& names,
                                          const draw::Axes& axes) {
  return chart(axes, [&](draw::Drawing& d, const draw::Area& area) { draw::bar_chart(d, area, sets, names, axes); });
}

D3AD_INLINE std::string Report::charts(const EvaluationResult& result) const {
  std::string out;
  const auto curves = [&](anomaly::Curve CurveRow::*which, const char* title, const char* y, double to) {
    std::vector<draw::Series> series;
    for (const auto& c : result.curves)
      if (!(c.*which).x.empty()) series.push_back({short_name(c), (c.*which).x, (c.*which).y});
    if (!series.empty())
      out += line_chart(series, {.title = title,
                                 .x = {.label = "false positive rate", .from = 0, .to = to},
                                 .y = {.label = y, .from = 0, .to = 1}});
  };
  curves(&CurveRow::image_roc, "Images: ROC", "faulty ones found", 1);
  curves(&CurveRow::pixel_roc, "Pixels: ROC", "faulty ones found", 1);
  curves(&CurveRow::pro, "Regions: overlap (PRO)", "mean overlap", anomaly::kProLimit);
  out += score_histogram(result) + attribute_histograms(result) + training_curve();
  return out;
}

D3AD_INLINE std::string Report::short_name(const CurveRow& row) const {
  if (row.method != config_.settings.method) return method_info(row.method).title;
  return row.protocol == "paper" ? "paper's" : "calibrated";
}

D3AD_INLINE std::string Report::score_histogram(const EvaluationResult& result) const {
  constexpr int kBins = 30;
  double lo = double{calibration_.threshold}, hi = lo;
  for (const auto& i : result.images) lo = std::min(lo, double{i.score}), hi = std::max(hi, double{i.score});
  if (!(hi > lo)) hi = lo + 1;
  std::vector<draw::Bars> sets{{"good", std::vector<double>(kBins)}, {"faulty", std::vector<double>(kBins)}};
  for (const auto& i : result.images) {
    const auto bin =
        std::min<std::size_t>(kBins - 1, static_cast<std::size_t>((double{i.score} - lo) / (hi - lo) * kBins));
    ++sets[i.anomalous].heights[bin];
  }
  std::vector<std::string> names;
  for (int b = 0; b < kBins; ++b) names.push_back(fixed(lo + (hi - lo) * (b + 0.5) / kBins, 2));
  return bar_chart(sets, names,
                   {.title = "Scores of the test images",
                    .x = {.label = "score", .from = lo, .to = hi},
                    .y = {.label = "images"},
                    .mark_x = double{calibration_.threshold},
                    .mark_label = "threshold"});
}

D3AD_INLINE std::string Report::attribute_histograms(const EvaluationResult& result) const {
  std::string out;
  for (std::size_t a = 0; a < result.attributes.size(); ++a) {
    const Attribute& attribute = result.attributes[a];
    if (!attribute.brief || !attribute.whole) continue;
    std::map<float, double> learned, good, faulty;
    std::set<float> values;
    for (const auto& one : learned_) ++learned[one[a]], values.insert(one[a]);
    for (const auto& i : result.images)
      ++(i.anomalous ? faulty : good)[i.attributes[a]], values.insert(i.attributes[a]);
    std::vector<draw::Bars> sets{{"training", {}}, {"good tests", {}}, {"faulty tests", {}}};
    std::vector<std::string> names;
    for (const float value : values) {
      const auto of = [value](const auto& counts) {
        const auto at = counts.find(value);
        return at == counts.end() ? 0.0 : at->second;
      };
      names.push_back(attribute_text(attribute, value));
      sets[0].heights.push_back(of(learned)), sets[1].heights.push_back(of(good)),
          sets[2].heights.push_back(of(faulty));
    }
    out +=
        bar_chart(sets, names, {.title = attribute.caption, .x = {.label = attribute.title}, .y = {.label = "images"}});
  }
  return out;
}

D3AD_INLINE std::string Report::training_curve() const {
  draw::Series loss{"loss", {}, {}};
  try {
    const auto lines = read_lines(folder_ / "loss.csv");
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const auto f = csv_fields(lines[i]);
      if (f.size() >= 2) loss.x.push_back(to_number(f[0])), loss.y.push_back(to_number(f[1]));
    }
  } catch (const Error&) {  // a model without its log is a model all the same
  }
  if (loss.x.empty()) return "";
  return line_chart({loss},
                    {.title = "Training of the UNet", .x = {.label = "step"}, .y = {.label = "loss", .log = true}});
}

D3AD_INLINE std::string Report::gallery(const EvaluationResult& result) const {
  std::set<std::string> kinds;
  for (const auto& i : result.images) kinds.insert(i.defect);
  std::string out = "<div class=\"bar\"><label>kind <select id=\"kind\"><option value=\"all\">all</option>";
  for (const auto& k : kinds) out += concat("<option>", draw::html_escape(k), "</option>");
  out +=
      "</select></label><label>verdict <select id=\"right\"><option value=\"all\">all</option><option "
      "value=\"yes\">right</option><option value=\"no\">wrong</option></select></label><label>order <select "
      "id=\"order\"><option value=\"down\">highest score first</option><option value=\"up\">lowest score "
      "first</option><option value=\"name\">by name</option></select></label><span id=\"count\" role=\"status\" "
      "class=\"soft\"></span><span class=\"soft\">arrow keys go from image to image</span></div>\n<div "
      "id=\"gallery\">";
  std::vector<std::size_t> order(result.images.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return result.images[a].score > result.images[b].score; });
  for (const std::size_t i : order) {
    const ImageRow& r = result.images[i];
    const bool right = r.faulty == r.anomalous;
    std::string brief;
    for (std::size_t a = 0; a < result.attributes.size(); ++a)
      if (result.attributes[a].brief)
        brief += concat("<span>", result.attributes[a].title, ' ',
                        attribute_text(result.attributes[a], r.attributes[a]), "</span>");
    const std::string file = draw::html_escape(r.file);
    out += concat("<article class=\"item", right ? "" : " wrong", "\" tabindex=\"0\" data-kind=\"",
                  draw::html_escape(r.defect), "\" data-right=\"", right ? "yes" : "no", "\" data-score=\"",
                  number(r.score), "\" data-file=\"", file, "\"><header><span class=\"",
                  r.faulty ? "faulty\">faulty" : "good\">good", "</span><span>score ", fixed(r.score, 4), "</span>",
                  brief, "<span>truth: ", draw::html_escape(r.defect), right ? "" : " (wrong)",
                  "</span><span class=\"file soft\">", file, "</span></header><div class=\"panels\">", panels_[i],
                  "</div></article>\n");
  }
  return out + "</div>\n";
}

D3AD_INLINE std::string Report::provenance(const EvaluationResult& result, const About& about) const {
  const auto json = to_json_object(config_);
  return concat("<p>", draw::html_escape(about.program), "; model <code>", draw::html_escape(folder_.string()),
                "</code>; images <code>", draw::html_escape(about.data), "</code>; ", result.images.size(),
                " test images; seed ", config_.settings.seed,
                ". Settings, networks and checksums, enough to repeat it:</p><details><summary>settings and "
                "checksums</summary><pre>",
                draw::html_escape(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)),
                "</pre></details>\n");
}

}  // namespace d3ad
