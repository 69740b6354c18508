// Take the pictures of docs/watching.md from a run: node dashboard_shot.mjs http://127.0.0.1:8787 CHROMIUM
// It needs playwright-core, and a run such as this one on a mosaic like that of the demo:
//   bigunet segment in.zarr out.zarr --block-shape 512,512 --workers 2 \
//     --dashboard-address 127.0.0.1:8787
import { chromium } from 'playwright-core';

const [, , dashboard, executablePath] = process.argv;
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
for (const [name, route, height] of [['panel', 'bigunet', 670], ['tasks', 'status', 760]]) {
  const page = await browser.newPage({ viewport: { width: 1220, height } });
  await page.goto(`${dashboard}/${route}`);
  // The panel updates every second, Dask's task stream every five seconds.
  await page.waitForTimeout(7000);
  const picture = new URL(`../docs/drawings/dashboard-${name}.png`, import.meta.url);
  await page.screenshot({ path: picture.pathname });
  await page.close();
}
await browser.close();
