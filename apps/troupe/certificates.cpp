// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/certificates.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "actors/openssl_owners.hpp"
#include "apps/troupe/file_descriptor.hpp"

namespace troupe {
namespace {

using namespace openssl;

/// OpenSSL's own word for what went wrong.
[[noreturn]] void fail(const std::string& what) {
  char why[256] = "no reason given";
  if (auto code = ERR_get_error(); code != 0) ERR_error_string_n(code, why, sizeof why);
  ERR_clear_error();
  throw std::runtime_error(fmt::format("{}: {}", what, why));
}

void check(bool good, const std::string& what) {
  if (!good) fail(what);
}

/// A new file; never one that is there, whoever made it in between.
void write_new(const std::filesystem::path& path, BIO* content, mode_t mode) {
  const file_descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file.valid()) throw std::runtime_error(fmt::format("{} cannot be made: {}", path.string(), strerror(errno)));
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(content, &bytes);
  if (::write(file.get(), bytes, static_cast<std::size_t>(size)) != size || ::fsync(file.get()) != 0)
    throw std::runtime_error(fmt::format("{} cannot be written: {}", path.string(), strerror(errno)));
}

void refuse_existing(const std::filesystem::path& path) {
  if (std::filesystem::exists(std::filesystem::symlink_status(path)))
    throw std::runtime_error(fmt::format(
        "{} is there already and is not replaced; give another folder or name, or move it away", path.string()));
}

void write_pair(const std::filesystem::path& folder, const std::string& name, X509* x, EVP_PKEY* key) {
  const bio public_part(BIO_new(BIO_s_mem())), secret_part(BIO_new(BIO_s_mem()));
  check(public_part && PEM_write_bio_X509(public_part.get(), x) == 1, "the certificate cannot be encoded");
  check(
      secret_part && PEM_write_bio_PKCS8PrivateKey(secret_part.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
      "the key cannot be encoded");
  write_new(folder / (name + ".key"), secret_part.get(), 0600);
  write_new(folder / (name + ".pem"), public_part.get(), 0644);
}

void add(X509* x, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x, nullptr, nullptr, 0);
  const extension made(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  check(made && X509_add_ext(x, made.get(), -1) == 1, fmt::format("the certificate cannot say {}", value));
}

/// A certificate without signature; valid since an hour ago, for clocks that disagree.
certificate draft(EVP_PKEY* key, const std::string& organization, const std::string& name, int days) {
  certificate x(X509_new());
  big_number serial(BN_new());
  check(x && serial && BN_rand(serial.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
            BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(x.get())),
        "no serial number can be drawn");
  auto* subject = X509_get_subject_name(x.get());
  auto say = [&](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1, 0) == 1;
  };
  check(X509_set_version(x.get(), 2) == 1 && X509_gmtime_adj(X509_getm_notBefore(x.get()), -3600) &&
            X509_time_adj_ex(X509_getm_notAfter(x.get()), days, 0, nullptr) && X509_set_pubkey(x.get(), key) == 1 &&
            say("O", organization) && say("CN", name),
        fmt::format("no certificate can be made for {}", name));
  return x;
}

void sign(X509* x, X509* issuer, EVP_PKEY* key) {
  check(X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 && X509_sign(x, key, EVP_sha256()) > 0,
        "the certificate cannot be signed");
}

private_key make_key() {
  private_key key(EVP_EC_gen("P-256"));
  check(key != nullptr, "no key can be made");
  return key;
}

bio open(const std::filesystem::path& path) {
  bio file(BIO_new_file(path.c_str(), "r"));
  check(file != nullptr, fmt::format("{} cannot be read; make an authority first with `troupe certs init {}`",
                                     path.string(), path.parent_path().string()));
  return file;
}

/// IP:10.0.0.1 or DNS:host.name
std::string alternative_name(const std::string& address) {
  unsigned char bytes[16];
  if (inet_pton(AF_INET, address.c_str(), bytes) == 1 || inet_pton(AF_INET6, address.c_str(), bytes) == 1)
    return "IP:" + address;
  const auto good = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.'; };
  if (address.empty() || address.size() > 253 || !std::all_of(address.begin(), address.end(), good))
    throw std::runtime_error(fmt::format("'{}' is no address; give an IP address or a host name", address));
  return "DNS:" + address;
}

void check_name(const std::string& name) {
  const auto good = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  };
  if (name.empty() || name.size() > 63 || name.front() == '.' || name == "ca" ||
      !std::all_of(name.begin(), name.end(), good))
    throw std::runtime_error(fmt::format(
        "'{}' is no name for a certificate; give 1 to 63 letters, digits, '-', '_' or '.', not 'ca'", name));
}

}  // namespace

void make_authority(const std::filesystem::path& folder, const std::string& cluster, int days) {
  if (!std::filesystem::exists(folder)) {
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  }
  refuse_existing(folder / "ca.pem");
  refuse_existing(folder / "ca.key");
  const auto key = make_key();
  const auto x = draft(key.get(), cluster, "Troupe cluster authority", days);
  add(x.get(), x.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add(x.get(), x.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add(x.get(), x.get(), NID_subject_key_identifier, "hash");
  sign(x.get(), x.get(), key.get());
  write_pair(folder, "ca", x.get(), key.get());
}

void make_certificate(const std::filesystem::path& folder, const certificate_request& request) {
  check_name(request.name);
  std::string addresses;
  for (const auto& address : request.addresses)
    addresses += fmt::format("{}{}", addresses.empty() ? "" : ",", alternative_name(address));
  const certificate authority(PEM_read_bio_X509(open(folder / "ca.pem").get(), nullptr, nullptr, nullptr));
  const private_key authority_key(
      PEM_read_bio_PrivateKey(open(folder / "ca.key").get(), nullptr, nullptr, const_cast<char*>("")));
  check(authority && authority_key && X509_check_private_key(authority.get(), authority_key.get()) == 1,
        fmt::format("{} holds no authority", folder.string()));
  refuse_existing(folder / (request.name + ".pem"));
  refuse_existing(folder / (request.name + ".key"));
  char organization[64] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(authority.get()), NID_organizationName, organization,
                            sizeof organization);
  const auto key = make_key();
  const auto x = draft(key.get(), organization, request.name, request.days);
  add(x.get(), authority.get(), NID_basic_constraints, "critical,CA:FALSE");
  add(x.get(), authority.get(), NID_key_usage, "critical,digitalSignature");
  add(x.get(), authority.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  add(x.get(), authority.get(), NID_subject_key_identifier, "hash");
  add(x.get(), authority.get(), NID_authority_key_identifier, "keyid:always");
  if (!addresses.empty()) add(x.get(), authority.get(), NID_subject_alt_name, addresses);
  sign(x.get(), authority.get(), authority_key.get());
  write_pair(folder, request.name, x.get(), key.get());
}

}  // namespace troupe
