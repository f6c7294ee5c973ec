#include "registry/host.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "registry/proxy.h"
#include "registry/url.h"

namespace ctr {
namespace {

class HostTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    make_directories((root_.path() / name).parent_path());
    write_file_atomic(root_.path() / name, text, Durability::Cached);
  }
  HostConfiguration load() const {
    HostConfiguration::Files files;
    files.daemon_json = {root_.path() / "daemon.json"};
    files.docker_certs = {root_.path() / "certs.d"};
    files.hosts_toml = {root_.path() / "containerd"};
    return HostConfiguration(files);
  }

  TempDirectory root_;
};

TEST_F(HostTest, DockerHubHasAnotherNameOnTheNetwork) {
  const auto endpoints = load().endpoints("docker.io");
  ASSERT_EQ(endpoints.size(), 1u);
  EXPECT_EQ(endpoints[0].api_root, "https://registry-1.docker.io/v2");
  EXPECT_EQ(endpoints[0].tls.verification, TlsVerification::Full);
}

TEST_F(HostTest, LoopbackHostsFallBackToPlainHttp) {
  const auto endpoints = load().endpoints("localhost:5000");
  ASSERT_EQ(endpoints.size(), 2u);
  EXPECT_EQ(endpoints[0].api_root, "https://localhost:5000/v2");
  EXPECT_EQ(endpoints[0].tls.verification, TlsVerification::Skip);
  EXPECT_EQ(endpoints[1].api_root, "http://localhost:5000/v2");
  EXPECT_TRUE(endpoints[1].is_plain_fallback);
  EXPECT_EQ(load().endpoints("example.com").size(), 1u);
}

TEST_F(HostTest, InsecureRegistriesAreHostsOrNetworks) {
  write("daemon.json",
        R"({"insecure-registries":["reg.lan:5000","10.0.0.0/8"],"registry-mirrors":["https://m.lan/"]})");
  const HostConfiguration hosts = load();
  EXPECT_TRUE(hosts.is_insecure("reg.lan:5000"));
  EXPECT_FALSE(hosts.is_insecure("reg.lan:5001"));
  EXPECT_TRUE(hosts.is_insecure("10.1.2.3:443"));
  EXPECT_FALSE(hosts.is_insecure("11.1.2.3"));
}

TEST_F(HostTest, MirrorsOfDaemonJsonServePullsOfDockerHubOnly) {
  write("daemon.json", R"({"registry-mirrors":["https://m.lan/"]})");
  const auto endpoints = load().endpoints("docker.io");
  ASSERT_EQ(endpoints.size(), 2u);
  EXPECT_EQ(endpoints[0].api_root, "https://m.lan/v2");
  EXPECT_TRUE(endpoints[0].is_mirror);
  EXPECT_FALSE(endpoints[0].can_push);
  EXPECT_EQ(load().endpoints("quay.io").size(), 1u);
}

TEST_F(HostTest, AnAuthorityOfCertsDIsUsedOnLoopbackToo) {
  write("certs.d/localhost:5000/ca.crt", "pem");
  const auto endpoints = load().endpoints("localhost:5000");
  ASSERT_EQ(endpoints.size(), 1u) << "no fallback to plain HTTP";
  EXPECT_EQ(endpoints[0].tls.verification, TlsVerification::Full);
  ASSERT_EQ(endpoints[0].tls.authorities.size(), 1u);
}

TEST_F(HostTest, AClientCertificateWithoutItsKeyIsNamed) {
  write("certs.d/reg.lan/client.cert", "pem");
  EXPECT_THROW(load().endpoints("reg.lan"), Error);
  write("certs.d/reg.lan/client.key", "pem");
  EXPECT_FALSE(load().endpoints("reg.lan")[0].tls.client_key.empty());
}

TEST_F(HostTest, HostsTomlNamesMirrorsInOrder) {
  write("containerd/docker.io/hosts.toml",
        "server = \"https://registry-1.docker.io\"  # upstream\n\n"
        "[host.\"https://mirror.lan:5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n  ca = \"ca.pem\"\n"
        "  client = [[\"c.pem\", \"k.pem\"]]\n  dial_timeout = \"2s\"\n"
        "[host.\"https://mirror.lan:5000\".header]\n  x-token = [\"abc\"]\n"
        "[host.\"http://other.lan/prefix/v2\"]\n  override_path = true\n  skip_verify = true\n");
  const auto endpoints = load().endpoints("docker.io");
  ASSERT_EQ(endpoints.size(), 3u);
  EXPECT_EQ(endpoints[0].api_root, "https://mirror.lan:5000/v2");
  EXPECT_EQ(endpoints[0].query, "ns=docker.io");
  EXPECT_FALSE(endpoints[0].can_push);
  EXPECT_EQ(endpoints[0].headers.find("X-Token"), "abc");
  EXPECT_EQ(endpoints[0].timeouts.connect, std::chrono::seconds(2));
  EXPECT_EQ(endpoints[0].tls.authorities[0], (root_.path() / "containerd/docker.io/ca.pem").native());
  EXPECT_EQ(endpoints[0].tls.client_key, (root_.path() / "containerd/docker.io/k.pem").native());
  EXPECT_EQ(endpoints[1].api_root, "http://other.lan/prefix/v2");
  EXPECT_EQ(endpoints[1].tls.verification, TlsVerification::Skip);
  EXPECT_EQ(endpoints[2].api_root, "https://registry-1.docker.io/v2");
}

TEST_F(HostTest, AMistakeInHostsTomlIsShownWithItsLine) {
  write("containerd/reg.lan/hosts.toml", "server = \"https://reg.lan\"\n[host.\"https://m\"]\nmystery = 1\n");
  try {
    load().endpoints("reg.lan");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("hosts.toml:3:"), std::string::npos) << error.what();
  }
}

TEST(Proxy, LoopbackNeverGoesThroughOne) {
  const ProxySettings proxies{"http://p:3128", "p2:3128", {}};
  EXPECT_EQ(proxies.choose(Url::parse("http://127.0.0.1:5000/")), "");
  EXPECT_EQ(proxies.choose(Url::parse("http://example.com/")), "http://p:3128");
  EXPECT_EQ(proxies.choose(Url::parse("https://example.com/")), "http://p2:3128");
}

TEST(Proxy, NoProxyTakesDomainsAddressesPortsAndNetworks) {
  const ProxySettings proxies{"http://p", "http://p", {"example.com", ".only.below", "10.0.0.0/8", "h:8080"}};
  const auto direct = [&](const char* url) { return proxies.choose(Url::parse(url)).empty(); };
  EXPECT_TRUE(direct("https://example.com/"));
  EXPECT_TRUE(direct("https://a.example.com/"));
  EXPECT_FALSE(direct("https://notexample.com/"));
  EXPECT_TRUE(direct("https://x.only.below/"));
  EXPECT_FALSE(direct("https://only.below/"));
  EXPECT_TRUE(direct("http://10.9.8.7/"));
  EXPECT_FALSE(direct("http://11.9.8.7/"));
  EXPECT_TRUE(direct("http://h:8080/"));
  EXPECT_FALSE(direct("http://h:8081/"));
}

}  // namespace
}  // namespace ctr
