#!/usr/bin/env bash
# Tests the report in a browser (headless Chromium): its pictures load; sorting, filters and the keyboard work; it is
# light or dark as the reader prefers; and it fetches nothing.
#
#   tests/report_browser.sh REPORT.html [SCREENSHOTS]     SCREENSHOTS: a folder for light.png, dark.png, narrow.png

set -uo pipefail
report=$(realpath "$1")
work=$(mktemp -d)
shots=${2:-$work}
mkdir -p "$shots"
shots=$(realpath "$shots")
trap 'rm -rf "$work"' EXIT
failures=0
wrong() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}
# Without a network, so that everything that the page would fetch fails. Errors are those of the browser (no D-Bus, no
# GPU).
browse() { timeout 120 chromium --headless --no-sandbox --disable-gpu --no-first-run --user-data-dir="$work/profile" \
  --host-resolver-rules="MAP * ~NOTFOUND" --virtual-time-budget=8000 "$@" 2>/dev/null; }

# The page with a script at its end, which uses the page as a reader would and writes down the results.
{
  cat "$report"
  cat <<'PROBE'
<script>
(() => {
  const by = id => document.getElementById(id), seen = () => [...document.querySelectorAll('.item')].filter(i => !i.hidden);
  const choose = (id, value) => { by(id).value = value; by(id).dispatchEvent(new Event('change')); };
  const out = {}, all = seen().length;
  out.images = [...document.images].every(i => i.complete && i.naturalWidth > 0);
  out.articles = all;
  choose('right', 'no'); const no = seen(); choose('right', 'yes'); const yes = seen();
  out.split = no.length + yes.length === all && no.every(i => i.classList.contains('wrong'));
  choose('right', 'all');
  const kinds = [...by('kind').options].map(o => o.value).filter(v => v !== 'all');
  let sum = 0;
  for (const k of kinds) { choose('kind', k); sum += seen().length; }
  out.kinds = kinds.length > 1 && sum === all;
  choose('kind', 'all');
  const scores = () => seen().map(i => +i.dataset.score);
  choose('order', 'up'); const up = scores(); choose('order', 'down'); const down = scores();
  out.sorted = up.every((v, i) => i === 0 || up[i - 1] <= v) && down.every((v, i) => i === 0 || down[i - 1] >= v);
  const items = seen(), key = k => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: k, bubbles: true}));
  items[0].focus(); key('ArrowDown'); const second = document.activeElement === items[1];
  key('k'); out.keys = second && document.activeElement === items[0];
  out.counted = by('count').textContent === all + ' of ' + all + ' images';
  out.charts = [...document.querySelectorAll('svg')].every(s => s.getBBox().width > 100);
  out.fits = document.documentElement.scrollWidth <= window.innerWidth;
  out.background = getComputedStyle(document.body).backgroundColor;
  out.requests = performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length;
  document.documentElement.dataset.probe = JSON.stringify(out).replaceAll('"', "'");
})();
</script>
PROBE
} >"$work/probe.html"

for look in light dark; do
  scheme=1
  [ $look = dark ] && scheme=0
  browse --window-size=1200,900 --blink-settings=preferredColorScheme=$scheme --dump-dom "file://$work/probe.html" \
    >"$work/dom.html"
  seen=$(grep -o 'data-probe="[^"]*"' "$work/dom.html" | head -1)
  [ -n "$seen" ] || { wrong "$look: the page's script did not run to its end"; continue; }
  for fact in images split kinds sorted keys counted charts fits; do
    [[ $seen == *"'$fact':true"* ]] || wrong "$look: $fact: $seen"
  done
  [[ $seen == *"'requests':0"* ]] || wrong "$look: something was fetched: $seen"
  background="rgb(255, 255, 255)"
  [ $look = dark ] && background="rgb(20, 23, 26)"
  [[ $seen == *"'background':'$background'"* ]] || wrong "$look: the background is not $background: $seen"
  [[ $seen == *"'articles':$(grep -o '<article' "$report" | wc -l),"* ]] || wrong "$look: images are missing: $seen"
  browse --window-size=1200,2600 --blink-settings=preferredColorScheme=$scheme --screenshot="$shots/$look.png" \
    "file://$report" >/dev/null
  [ "$(stat -c %s "$shots/$look.png" 2>/dev/null || echo 0)" -gt 30000 ] || wrong "no screenshot of the $look page"
done
cmp -s "$shots/light.png" "$shots/dark.png" && wrong "light and dark look the same"
browse --window-size=500,2600 --screenshot="$shots/narrow.png" "file://$report" >/dev/null
[ -s "$shots/narrow.png" ] || wrong "no screenshot of the narrow page"

echo "the report in a browser: $failures failed"
[ $failures -eq 0 ]
