#pragma once
// The style and the script of the report's page (report/report.hpp). Nothing is loaded from anywhere; without a
// script everything is there, only sorting and filtering are not.

namespace d3ad::report_page {

inline constexpr const char* kStyle = R"css(
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--soft:#60666d;--line:#d9dde1;--card:#f6f7f9;--s0:#0b6bcb;--s1:#d1571a;--s2:#3d8b37;--s3:#8250df;--bad:#c1272d;--good:#1f7a33}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e8ea;--soft:#9aa2aa;--line:#343a40;--card:#1d2125;--s0:#58a6ff;--s1:#f0883e;--s2:#5fbf57;--s3:#b392f0;--bad:#ff7b72;--good:#56d364}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1180px;padding:1.2rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2rem 0 .6rem;border-bottom:1px solid var(--line)}p{max-width:72ch}.soft{color:var(--soft)}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem}.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem 1rem;min-width:9rem}.tile b{display:block;font-size:1.5rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid var(--line)}th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}tr.main td{font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:1rem}svg{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}svg text{fill:var(--fg);font-family:system-ui,sans-serif}svg .soft{fill:var(--soft)}
polyline.grid{stroke:var(--line)}polyline.ink{stroke:var(--soft)}polyline.mark{stroke:var(--bad)}polyline.s0{stroke:var(--s0)}polyline.s1{stroke:var(--s1)}polyline.s2{stroke:var(--s2)}polyline.s3{stroke:var(--s3)}rect.s0{fill:var(--s0)}rect.s1{fill:var(--s1)}rect.s2{fill:var(--s2)}rect.s3{fill:var(--s3)}
.bar{position:sticky;top:0;background:var(--bg);padding:.5rem 0;display:flex;flex-wrap:wrap;gap:.8rem;z-index:1}select,button{font:inherit;padding:.2rem .5rem;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:6px}
.item{border:1px solid var(--line);border-radius:8px;padding:.6rem;margin:.6rem 0;background:var(--card)}.item:focus{outline:3px solid var(--s0)}.item header{display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:baseline;margin-bottom:.4rem}.item .file{overflow-wrap:anywhere}
.faulty{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}.wrong{border-left:5px solid var(--bad)}.panels{display:grid;grid-template-columns:repeat(5,1fr);gap:.5rem}figure{margin:0}figure img{width:100%;display:block;border-radius:4px}figcaption{font-size:.8rem;color:var(--soft)}
@media(max-width:640px){.panels{grid-template-columns:repeat(2,1fr)}}pre{overflow-x:auto;background:var(--card);padding:.8rem;border:1px solid var(--line);border-radius:8px;font-size:.85rem}[hidden]{display:none}
)css";

inline constexpr const char* kScript = R"js(
(()=>{const list=document.getElementById('gallery'),items=[...list.children],by=id=>document.getElementById(id);
const show=()=>{const kind=by('kind').value,right=by('right').value,order=by('order').value;let n=0;
items.sort((a,b)=>order==='name'?a.dataset.file.localeCompare(b.dataset.file):(order==='up'?1:-1)*(a.dataset.score-b.dataset.score)||a.dataset.file.localeCompare(b.dataset.file));
for(const i of items){i.hidden=(kind!=='all'&&i.dataset.kind!==kind)||(right!=='all'&&i.dataset.right!==right);n+=!i.hidden;list.append(i)}
by('count').textContent=n+' of '+items.length+' images'};
for(const id of['kind','right','order'])by(id).addEventListener('change',show);
list.addEventListener('keydown',e=>{const step={ArrowDown:1,j:1,ArrowUp:-1,k:-1}[e.key];if(!step)return;
const seen=items.filter(i=>!i.hidden),at=seen.indexOf(e.target.closest('.item')),next=seen[at+step];if(next){e.preventDefault();next.focus();next.scrollIntoView({block:'nearest'})}});
show()})();
)js";

}  // namespace d3ad::report_page
