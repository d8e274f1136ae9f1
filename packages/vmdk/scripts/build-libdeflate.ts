/**
 * Builds src/codec/libdeflate.wasm from the source package libdeflate 1.14 of Debian 12:
 * `node packages/vmdk/scripts/build-libdeflate.ts ARCHIVE`, where ARCHIVE is its `libdeflate_1.14.orig.tar.gz`
 * (`apt-get source --download-only libdeflate`). Needs clang and lld 14. The same input gives the same bytes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const archiveDigest = '89e7df898c37c3427b0f39aadcf733731321a278771d20fc553f92da8d4808ac';
const archive = process.argv[2];
if (!archive) throw new Error('usage: build-libdeflate.ts libdeflate_1.14.orig.tar.gz');
const digest = createHash('sha256').update(readFileSync(archive)).digest('hex');
if (digest !== archiveDigest) throw new Error(`${archive} has the SHA-256 ${digest}, not ${archiveDigest}`);

const target = join(import.meta.dirname, '../src/codec');
const folder = mkdtempSync(join(tmpdir(), 'libdeflate-'));
try {
  execFileSync('tar', ['xf', archive, '--strip-components=1', '-C', folder]);
  // WebAssembly counts in 64-bit words although its pointers have 32 bits.
  const common = join(folder, 'common_defs.h');
  const words = readFileSync(common, 'latin1').replace('typedef size_t machine_word_t;', 'typedef u64 machine_word_t;');
  writeFileSync(common, words, 'latin1');
  const sources = ['deflate_compress', 'deflate_decompress', 'zlib_compress', 'zlib_decompress', 'adler32', 'utils'];
  const compiler = ['--target=wasm32', '-O2', '-msimd128', '-mbulk-memory', '-matomics', '-ffreestanding'];
  const linker = ['--no-entry', '-z', 'stack-size=65536', '--shared-memory', '--import-memory', '--strip-all'];
  execFileSync(
    'clang-14',
    [
      ...compiler,
      ...['-DFREESTANDING', '-nostdlib', '-I.'],
      ...['--max-memory=134217728', ...linker].map((option) => `-Wl,${option}`),
      ...[join(import.meta.dirname, 'libdeflate/exports.c'), ...sources.map((name) => `lib/${name}.c`)],
      ...['-o', join(target, 'libdeflate.wasm')],
    ],
    { cwd: folder, stdio: 'inherit' },
  );
  copyFileSync(join(folder, 'COPYING'), join(target, 'libdeflate.license.txt'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
