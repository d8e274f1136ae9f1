// npm start: sets this machine up, then brings up the demo. Plain JavaScript for Node 20: runs before anything is installed.
import { ensurePackages } from './debian-packages.mjs';
import { runScript } from './run.mjs';

try {
  ensurePackages(['run', 'appliance']);
  process.exitCode = await runScript('scripts/start.ts', process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
