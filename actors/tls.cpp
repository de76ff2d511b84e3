// SPDX-License-Identifier: Apache-2.0
#include "actors/tls.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include "actors/openssl_owners.hpp"

namespace troupe {
namespace {

using namespace openssl;

[[noreturn]] void refuse(const char* key, const std::filesystem::path& path, const std::string& what) {
  ERR_clear_error();
  throw std::invalid_argument(fmt::format("tls.{}: {} {}", key, path.string(), what));
}

bio open(const char* key, const std::filesystem::path& path) {
  if (path.empty())
    throw std::invalid_argument(
        fmt::format("tls.{} is not given; TLS needs all of certificate, key and ca (`troupe certs` makes them)", key));
  errno = 0;
  bio file(BIO_new_file(path.c_str(), "r"));
  if (!file)
    refuse(key, path, fmt::format("cannot be opened ({}); `troupe certs` makes these files", std::strerror(errno)));
  return file;
}

certificate read_certificate(const char* key, const std::filesystem::path& path) {
  auto file = open(key, path);
  certificate result(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
  if (!result) refuse(key, path, "holds no certificate; give a PEM file such as `troupe certs` writes");
  return result;
}

private_key read_key(const std::filesystem::path& path) {
  auto file = open("key", path);
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    refuse("key", path,
           fmt::format("can be read by others (mode {:04o}); chmod 600 {}", status.st_mode & 07777U, path.string()));
  // An empty passphrase: the program must not stop and ask for one.
  private_key result(PEM_read_bio_PrivateKey(file.get(), nullptr, nullptr, const_cast<char*>("")));
  if (!result) refuse("key", path, "holds no private key without a passphrase; give one as `troupe certs` writes it");
  return result;
}

// OpenSSL leaves the errors of a connection to the thread, CAF serves all connections with one thread and does not look
// whose they are: without these hooks a stranger's failed handshake can end the connection that is served next.

/// At the end of a handshake, whatever it came to.
void after_handshake(const SSL*, int where, int) {
  if (where == SSL_CB_ACCEPT_EXIT || where == SSL_CB_CONNECT_EXIT) ERR_clear_error();
}

/// At the beginning of a connection. A peer that is killed closes without a word: an end, not an error.
void prepare(void* connection, void*, CRYPTO_EX_DATA*, int, long, void*) {
  auto* ssl = static_cast<SSL*>(connection);
  SSL_set_info_callback(ssl, after_handshake);
  SSL_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

/// At the end of a connection.
void forget_errors(void*, void*, CRYPTO_EX_DATA*, int, long, void*) { ERR_clear_error(); }

}  // namespace

void check_tls_files(const tls_files& files) {
  auto own = read_certificate("certificate", files.certificate);
  auto key = read_key(files.key);
  auto authority = read_certificate("ca", files.ca);
  if (X509_check_private_key(own.get(), key.get()) != 1)
    refuse("key", files.key,
           fmt::format("is not the key of {}; give the two that were made together", files.certificate.string()));
  const trust_store store(X509_STORE_new());
  const verification check(X509_STORE_CTX_new());
  if (!store || !check || X509_STORE_add_cert(store.get(), authority.get()) != 1 ||
      X509_STORE_CTX_init(check.get(), store.get(), own.get(), nullptr) != 1)
    refuse("ca", files.ca, "cannot be used as a certificate authority");
  if (X509_verify_cert(check.get()) == 1) return;
  const auto why = X509_STORE_CTX_get_error(check.get());
  refuse("certificate", files.certificate,
         fmt::format("is not valid here: {}; make one with `troupe certs node` and the authority {}",
                     X509_verify_cert_error_string(why), files.ca.string()));
}

void require_tls_1_3() {
  // The system's settings first: these must come after and win.
  OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, nullptr);
  constexpr char text[] =
      "troupe = main\n[main]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n[all]\nMinProtocol = TLSv1.3\n";
  const bio memory(BIO_new_mem_buf(text, sizeof text - 1));
  const configuration settings(NCONF_new(nullptr));
  if (!memory || !settings || NCONF_load_bio(settings.get(), memory.get(), nullptr) != 1 ||
      CONF_modules_load(settings.get(), "troupe", 0) != 1)
    throw std::runtime_error("OpenSSL does not take the setting that TLS is of version 1.3");
  if (SSL_get_ex_new_index(0, nullptr, prepare, nullptr, forget_errors) < 0)
    throw std::runtime_error("OpenSSL gives no place for a hook at the end of connections");
}

}  // namespace troupe
