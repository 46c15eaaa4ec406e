using System.Runtime.InteropServices;
using Megaphone.Tests.Links;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>What is taken over from OpenSSL, and what is not. <see cref="OpenSslRecordTests"/> has what comes through afterwards.</summary>
public sealed class HandshakeSecretsTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly (string Certificate, string Key) _certificate;

    public HandshakeSecretsTests() => _certificate = _authority.Issue("server", "example.org");

    public void Dispose() => _authority.Dispose();

    [Theory]
    [MemberData(nameof(OpenSslRecordTests.All), MemberType = typeof(OpenSslRecordTests))]
    public void A_resumed_connection_is_taken_over_as_well(string end, string version, string algorithm)
    {
        (bool isTls13, AeadAlgorithm suite) = (version == "1.3", Enum.Parse<AeadAlgorithm>(algorithm));
        using TakenOver first = new(isTls13, suite, isServer: true, _certificate);
        first.Peer.Read(out _);
        using TakenOver second = new(isTls13, suite, end == "server", _certificate, first.Peer);

        Assert.True(second.Peer.IsResumed);
        second.Send("<down/>"u8);
        Assert.Equal("<down/>"u8.ToArray(), second.Peer.Read(out _));
        second.Peer.Write("<up/>"u8);
        Assert.Equal("<up/>"u8.ToArray(), second.Receive());
    }

    [Fact]
    public void A_server_is_not_taken_over_while_OpenSSL_holds_data_of_the_client()
    {
        using OpenSslPeer client = new(isTls13: true, AeadAlgorithm.Aes128Gcm, null);
        using OpenSslPeer server = new(isTls13: true, AeadAlgorithm.Aes128Gcm, _certificate);
        Step(client, server);
        Step(server, client);
        client.Handshake();
        client.Write("<early/>"u8);
        server.ReadAhead();
        server.Give([.. client.HandshakeBytes, .. client.Take()]);

        Assert.True(server.Handshake());
        AssertNotTakenOver(server);
    }

    [Fact]
    public void A_client_is_not_taken_over_while_OpenSSL_holds_data_of_the_server()
    {
        using OpenSslPeer client = new(isTls13: false, AeadAlgorithm.Aes128Gcm, null);
        using OpenSslPeer server = new(isTls13: false, AeadAlgorithm.Aes128Gcm, _certificate);
        Step(client, server);
        Step(server, client);
        Step(client, server);
        server.Handshake();
        server.Write("<early/>"u8);
        client.ReadAhead();
        client.Give([.. server.HandshakeBytes, .. server.Take()]);

        Assert.True(client.Handshake());
        AssertNotTakenOver(client);
    }

    [Fact]
    public void A_connection_is_not_taken_over_whose_records_are_protected_in_another_way()
    {
        using OpenSslPeer client = new(isTls13: false, AeadAlgorithm.Aes128Gcm, null);
        using OpenSslPeer server = new(isTls13: false, AeadAlgorithm.Aes128Gcm, _certificate);
        client.UseSuite("ECDHE-ECDSA-AES128-SHA256");
        server.UseSuite("ECDHE-ECDSA-AES128-SHA256");
        Step(client, server);
        Step(server, client);
        Step(client, server);
        Step(server, client);

        Assert.True(client.Handshake());
        AssertNotTakenOver(client);
        AssertNotTakenOver(server);
    }

    [Fact]
    public void Nothing_is_left_behind_Clear()
    {
        HandshakeSecrets secrets = default;
        secrets.Sent("bytes"u8);
        Assert.Contains((byte)'b', MemoryMarshal.AsBytes(new Span<HandshakeSecrets>(ref secrets)).ToArray());
        secrets.Clear();
        Assert.Equal(-1, MemoryMarshal.AsBytes(new Span<HandshakeSecrets>(ref secrets)).IndexOfAnyExcept((byte)0));
    }

    private static void Step(OpenSslPeer from, OpenSslPeer to)
    {
        from.Handshake();
        to.Give(from.HandshakeBytes);
    }

    private static void AssertNotTakenOver(OpenSslPeer peer)
    {
        TlsConnectionState state = default;
        Assert.False(peer.TryTakeOver(ref state));
        Assert.Equal(-1, MemoryMarshal.AsBytes(new Span<TlsConnectionState>(ref state)).IndexOfAnyExcept((byte)0));
    }
}
