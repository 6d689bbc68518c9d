// A zip file that only stores: pictures and films are compressed already. Written as APPNOTE.TXT 6.3 says,
// without Zip64: at most 65,535 files and 4 GB, which is said where it is not enough.

const MOST = 0xffffffff;

const TABLE = Uint32Array.from({ length: 256 }, (_, number) => {
  let value = number;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 of a Blob, read piece by piece. */
async function checksum(blob) {
  let crc = 0xffffffff;
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return (crc ^ 0xffffffff) >>> 0;
    for (const byte of value) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  }
}

function record(...fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}

/** files: [[name, Blob], ...]; a name that comes twice gets a number. -> Blob */
export async function zipped(files, when = new Date()) {
  const time = (when.getHours() << 11) | (when.getMinutes() << 5) | (when.getSeconds() >> 1);
  const date = ((when.getFullYear() - 1980) << 9) | ((when.getMonth() + 1) << 5) | when.getDate();
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [name, blob] of unique(files)) {
    const path = new TextEncoder().encode(name);
    const crc = await checksum(blob);
    // version 2.0, names in UTF-8, stored
    const common = [[2, 20], [2, 0x0800], [2, 0], [2, time], [2, date], [4, crc], [4, blob.size],
      [4, blob.size], [2, path.length], [2, 0]];
    directory.push(record([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), path);
    const head = record([4, 0x04034b50], ...common);
    parts.push(head, path, blob);
    at += head.length + path.length + blob.size;
    if (at > MOST || parts.length / 3 > 65_000) {
      throw new Error("These are more than 4 GB or 65,000 files: download them one by one.");
    }
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = parts.length / 3;
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function unique(files) {
  const taken = new Set();
  return files.map(([name, blob]) => {
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = name.replace(/(\.[^.]*)?$/, ` (${number})$1`);
    taken.add(free);
    return [free, blob];
  });
}
