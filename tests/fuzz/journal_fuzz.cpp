// SPDX-License-Identifier: Apache-2.0
// The journal of a gateway that was killed while it wrote.
#include <string>

#include <boost/crc.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include "apps/gateway/journal.hpp"
#include "apps/gateway/journal_record.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

namespace {

/// What could be read is written so that it reads the same again.
void read_records(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto before = bytes.size();
    const auto record = take_journal_record(bytes);
    if (!record) return;
    require(bytes.size() + journal_header_bytes <= before);
    const auto written = format_journal_record(*record);
    std::string_view rest = written;
    const auto again = take_journal_record(rest);
    require(again && rest.empty() && format_journal_record(*again) == written);
  }
}

void read_file(std::string_view bytes) {
  static const int file = memfd_create("journal", MFD_CLOEXEC);  // a file without a disk
  require(file >= 0 && ftruncate(file, 0) == 0 &&
          pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  std::size_t tokens = 0;
  for (const auto& entry : read_journal("/proc/self/fd/" + std::to_string(file)).unfinished)
    tokens += entry.tokens.size();
  require(tokens <= bytes.size());
}

/// A record with this payload, whose checksum a fuzzer need not guess.
std::string sealed(std::string_view payload) {
  boost::crc_32_type sum;
  sum.process_bytes(payload.data(), payload.size());
  std::string record;
  for (auto word : {static_cast<std::uint32_t>(payload.size()), static_cast<std::uint32_t>(sum.checksum())})
    for (int shift = 0; shift < 32; shift += 8)
      record += static_cast<char>(word >> shift & 0xffU);
  return record.append(payload);
}

}  // namespace

/// The first byte picks the form: even the file as it is, odd the payload of one record.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string bytes{as_text(data + 1, size - 1)};
  if (data[0] % 2 == 1) bytes = sealed(bytes);
  read_records(bytes);
  read_file(bytes);
  return 0;
}
