using Megaphone.Tests.Links;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>A certificate file is read, or what is wrong with it is reported.</summary>
public sealed class CertificateChainTests : IDisposable
{
    private readonly TestAuthority _authority = new();

    [Fact]
    public void A_certificate_is_for_the_hosts_that_it_names()
    {
        CertificateCheck check = new(DateTimeOffset.UtcNow);
        (string certificate, string key) = _authority.Issue("server", "Example.ORG");
        CertificateChain chain = CertificateChain.Read(new CertificateFiles(certificate, key, []), check)!;
        Assert.Empty(check.Problems);
        Assert.Equal(["example.org"], chain.Names);
    }

    [Fact]
    public void Names_that_cannot_be_decoded_are_reported_as_a_problem()
    {
        CertificateCheck check = new(DateTimeOffset.UtcNow);
        (string certificate, string key) = _authority.IssueBroken("server", "2.5.29.17");
        Assert.Null(CertificateChain.Read(new CertificateFiles(certificate, key, []), check));
        Assert.StartsWith(certificate + ": ", Assert.Single(check.Problems).What, StringComparison.Ordinal);
    }

    public void Dispose() => _authority.Dispose();
}
