using System.Security.Authentication;
using System.Text;
using Megaphone.Bench;
using Megaphone.Interop;
using Megaphone.Tests.Links;
using Xunit;

namespace Megaphone.Tests.Bench;

/// <summary>TLS of the load generator's clients, up to the records: against .NET's server.</summary>
public sealed class TlsHandshakesTests : IDisposable
{
    private const string Header = "<stream:stream to='localhost'>";
    private const string ServerHeader = "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='1'>";
    private const string Features = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";

    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _other = new("Another authority");

    public void Dispose()
    {
        _authority.Dispose();
        _other.Dispose();
    }

    [Theory]
    [InlineData("1.2", SslProtocols.Tls12)]
    [InlineData("1.3", SslProtocols.Tls13)]
    [InlineData(null, SslProtocols.Tls13)]
    public async Task Data_goes_through_both_ways(string? version, SslProtocols agreed)
    {
        using TlsTestServer server = new(_authority.Issue("server", "localhost"));
        using TlsTestClient client = await server.SecureAsync(Options(version: version));

        Assert.Null(client.Problem);
        Assert.Equal(agreed, server.Stream.SslProtocol);
        await AssertEchoAsync(server, client);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    [InlineData("localhost")]
    public async Task A_certificate_may_be_for_an_address(string name)
    {
        using TlsTestServer server = new(_authority.Issue("server", name));
        using TlsTestClient client = await server.SecureAsync(Options(name));

        Assert.Null(client.Problem);
    }

    [Theory]
    [InlineData("other.example", 90, true, "it is not for localhost; --server-name names another host")]
    [InlineData("127.0.0.1", 90, true, "it is not for localhost; --server-name names another host")]
    [InlineData("localhost", -1, true, "certificate has expired; --ca names other authorities")]
    [InlineData("localhost", 90, false, "unable to get local issuer certificate; --ca names other authorities")]
    public async Task A_certificate_is_refused_with_the_reason_unless_any_is_accepted(string name, int days, bool isKnown, string reason)
    {
        (string Certificate, string Key) certificate = (isKnown ? _authority : _other).Issue("server", name, days);
        using TlsTestServer server = new(certificate), again = new(certificate);
        using TlsTestClient refusing = await server.SecureAsync(Options());
        using TlsTestClient accepting = await again.SecureAsync(Options() with { ChecksCertificate = false });

        Assert.Equal($"the server's certificate is refused: {reason}", refusing.Problem);
        Assert.Null(accepting.Problem);
        await AssertEchoAsync(again, accepting);
    }

    [Fact]
    public async Task An_address_that_the_certificate_is_not_for_is_refused()
    {
        using TlsTestServer server = new(_authority.Issue("server", "127.0.0.2"));
        using TlsTestClient client = await server.SecureAsync(Options("127.0.0.1"));

        Assert.Equal("the server's certificate is refused: it is not for 127.0.0.1; --server-name names another host", client.Problem);
    }

    [Fact]
    public async Task A_version_that_the_server_does_not_speak_is_a_problem()
    {
        using TlsTestServer server = new(_authority.Issue("server", "localhost"), SslProtocols.Tls12);
        using TlsTestClient client = await server.SecureAsync(Options(version: "1.3"));

        Assert.StartsWith("a TLS handshake failed: ", client.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task STARTTLS_comes_before_the_handshake()
    {
        using TlsTestServer server = new(_authority.Issue("server", "localhost"));
        using TlsTestClient client = await server.SecureAsync(
            Options(), Header, Header, ServerHeader + Features, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed/>");

        Assert.Null(client.Problem);
        await AssertEchoAsync(server, client);
    }

    [Theory]
    [InlineData("the server does not offer STARTTLS", ServerHeader + "<stream:features/>")]
    [InlineData("the server refused STARTTLS", ServerHeader + Features, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<failure/>")]
    [InlineData("stream error before TLS: host-unknown", ServerHeader + "<stream:error><host-unknown/></stream:error>")]
    [InlineData("the server closed a stream before TLS", ServerHeader + "</stream:stream>")]
    [InlineData("<iq> came during STARTTLS", ServerHeader + "<iq/>")]
    [InlineData("the server sent what is no XMPP before TLS: the stream must begin with its header", "HTTP/1.1 400 Bad Request")]
    [InlineData(
        "the server sent plain text behind its <proceed/>",
        ServerHeader + Features, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed/><iq/>")]
    public async Task What_the_server_answers_to_STARTTLS_otherwise_is_a_problem(string problem, params string[] dialogue)
    {
        using TlsTestServer server = new(_authority.Issue("server", "localhost"));
        using TlsTestClient client = await server.SecureAsync(Options(), Header, [Header, .. dialogue]);

        Assert.Equal(problem, client.Problem);
    }

    [Theory]
    [InlineData(null, "the server ended a connection during its TLS handshake")]
    [InlineData(Header, "the server ended a connection before TLS")]
    public async Task A_server_that_ends_the_connection_is_a_problem(string? header, string problem)
    {
        using TlsTestServer server = new(certificate: null);
        using TlsTestClient client = await server.SecureAsync(Options(), header);

        Assert.Equal(problem, client.Problem);
    }

    [Theory]
    [InlineData(false, "there is no such file")]
    [InlineData(true, "it is not readable as PEM with certificates")]
    public void Authorities_that_cannot_be_read_are_reported(bool isThere, string why)
    {
        string file = isThere ? _authority.Issue("server", "localhost").Key : "/nowhere/ca.pem";
        IOException problem = Assert.Throws<IOException>(() => new TlsClientContext(Options() with { Authorities = file }));

        Assert.Equal($"no authorities can be read from {file}: {why}", problem.Message);
    }

    private static async Task AssertEchoAsync(TlsTestServer server, TlsTestClient client)
    {
        byte[] data = Encoding.UTF8.GetBytes("<up/>");
        client.Send(data);
        byte[] received = new byte[data.Length];
        await server.Stream.ReadExactlyAsync(received);
        await server.Stream.WriteAsync(received);
        Assert.Equal(data, await client.ReceiveAsync(data.Length));
    }

    private TlsClientOptions Options(string name = "localhost", string? version = null) => new()
    {
        IsNegotiated = false,
        ChecksCertificate = true,
        Authorities = _authority.File,
        ServerName = name,
        Version = version switch { "1.2" => OpenSsl.Tls12, "1.3" => OpenSsl.Tls13, _ => 0 },
    };
}
