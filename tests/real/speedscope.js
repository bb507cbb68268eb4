// SPDX-License-Identifier: MIT
// Has speedscope (npm) open a file, as if it were dropped on its page, and prints what it understood:
// [{ name, unit, total, frames: { NAME: [total, self] } }], one for each profile.
//
// usage: node speedscope.js FILE, where speedscope and jsdom are found (NODE_PATH)
const fs = require('fs');
const path = require('path');
const { JSDOM } = require('jsdom');

const folder = path.join(path.dirname(require.resolve('speedscope/package.json')), 'dist/release');
const file = process.argv[2];

// The place where it has read a file, and knows the profiles.
function listen(code) {
  const heard = code.replace(/document\.title=`\$\{(\w+)\.name\} - speedscope`/, (all, group) => `window.heard(${group}),${all}`);
  if (heard === code)
    throw new Error('this version of speedscope is not known here');
  return heard;
}

function end(status, text) {
  fs.writeSync(status ? 2 : 1, text + '\n');
  process.exit(status);
}

function profile(p) {
  const frames = {};
  p.forEachFrame(f => { frames[f.name] = [f.getTotalWeight(), f.getSelfWeight()]; });
  return { name: p.getName(), unit: p.getWeightUnit(), total: p.getTotalWeight(), frames };
}

const { window } = new JSDOM('<!DOCTYPE html><html><body></body></html>',
  { url: 'http://localhost/', runScripts: 'outside-only', pretendToBeVisual: true });
// It draws with WebGL, which is not there and not looked at.
const anything = () => new Proxy(function () {}, {
  get: (_, key) => (key === Symbol.toPrimitive ? () => 0 : anything()), apply: anything, construct: anything,
});
window.HTMLCanvasElement.prototype.getContext = anything;
window.matchMedia = () => ({ matches: false, addListener() {}, removeListener() {}, addEventListener() {}, removeEventListener() {} });
window.TextDecoder = TextDecoder;
window.console.log = window.console.time = window.console.timeEnd = () => {};
window.alert = text => end(1, text);
window.heard = group => end(0, JSON.stringify(group.profiles.map(profile)));
process.on('uncaughtException', e => end(1, e.stack));

const name = fs.readdirSync(folder).find(f => /^speedscope-.*\.js$/.test(f));
window.eval(listen(fs.readFileSync(path.join(folder, name), 'utf8')));
setTimeout(() => {
  const dropped = new window.File([fs.readFileSync(file)], path.basename(file));
  const e = new window.Event('drop', { bubbles: true, cancelable: true });
  e.dataTransfer = { files: { item: () => dropped, length: 1 }, items: [{}], types: ['Files'] };
  window.document.body.firstElementChild.firstElementChild.dispatchEvent(e);
}, 300);
setTimeout(() => end(1, 'speedscope shows nothing'), 60000);
