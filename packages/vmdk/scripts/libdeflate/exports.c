/* What the WebAssembly build of libdeflate offers: memory that is taken once and never given back, and RFC 1950. */
#include "libdeflate.h"
#include <stddef.h>

extern unsigned char __heap_base;
static size_t top;

static void *take(size_t bytes)
{
	if (!top)
		top = (size_t)&__heap_base;
	size_t start = (top + 63) & ~(size_t)63;
	size_t end = start + bytes;
	size_t have = (size_t)__builtin_wasm_memory_size(0) * 65536;
	if (end < start)
		return NULL;
	if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) / 65536) == (size_t)-1)
		return NULL;
	top = end;
	return (void *)start;
}

static void keep(void *block)
{
	(void)block;
}

__attribute__((export_name("reserve"))) void *reserve(size_t bytes)
{
	return take(bytes);
}

__attribute__((export_name("compressor"))) void *compressor(int level)
{
	libdeflate_set_memory_allocator(take, keep);
	return libdeflate_alloc_compressor(level);
}

__attribute__((export_name("decompressor"))) void *decompressor(void)
{
	libdeflate_set_memory_allocator(take, keep);
	return libdeflate_alloc_decompressor();
}

/* Bytes written, 0 when there is no room for them. */
__attribute__((export_name("deflate"))) size_t deflate(void *state, const void *in, size_t bytes, void *out, size_t room)
{
	return libdeflate_zlib_compress(state, in, bytes, out, room);
}

/* Bytes written; -1 when the data is damaged or does not fit. */
__attribute__((export_name("inflate"))) int inflate(void *state, const void *in, size_t bytes, void *out, size_t room)
{
	size_t written = 0;
	if (libdeflate_zlib_decompress(state, in, bytes, out, room, &written) != LIBDEFLATE_SUCCESS)
		return -1;
	return (int)written;
}
