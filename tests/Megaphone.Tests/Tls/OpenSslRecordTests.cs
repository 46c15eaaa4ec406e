using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Interop;
using Megaphone.Tests.Links;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>Our records against OpenSSL's, behind a handshake that OpenSSL has done: either end, both versions, every algorithm.</summary>
public sealed class OpenSslRecordTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly (string Certificate, string Key) _certificate;

    public OpenSslRecordTests() => _certificate = _authority.Issue("server", "example.org");

    /// <summary>Which end is ours, the version, and the algorithm.</summary>
    public static TheoryData<string, string, string> All
    {
        get
        {
            TheoryData<string, string, string> all = [];
            foreach (string end in new[] { "server", "client" })
            {
                foreach (string version in new[] { "1.3", "1.2" })
                {
                    foreach (string algorithm in Enum.GetNames<AeadAlgorithm>()) all.Add(end, version, algorithm);
                }
            }

            return all;
        }
    }

    public void Dispose() => _authority.Dispose();

    [Theory]
    [MemberData(nameof(All))]
    public void Data_of_any_length_goes_through_both_ways(string end, string version, string algorithm)
    {
        using TakenOver connection = Take(end, version, algorithm);
        foreach (int length in new[] { 1, 2, 100, 4096, 16_383, 16_384 })
        {
            byte[] up = RandomNumberGenerator.GetBytes(length), down = RandomNumberGenerator.GetBytes(length);
            connection.Send(down);
            Assert.Equal(down, connection.Peer.Read(out int status));
            Assert.Equal(OpenSsl.ErrorWantRead, status);
            connection.Peer.Write(up);
            Assert.Equal(up, connection.Receive());
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Close_notify_is_understood_both_ways(string end, string version, string algorithm)
    {
        using TakenOver connection = Take(end, version, algorithm);
        connection.Peer.Write("<last/>"u8);
        connection.Peer.End();
        Assert.Equal("<last/>"u8.ToArray(), connection.Receive());
        Assert.Equal(OpenedRecordKind.Ended, connection.Last.Kind);

        connection.Peer.Give(TlsEnds.SealEnd(ref connection.Ours, TlsAlert.CloseNotify));
        connection.Peer.Read(out int status);
        Assert.Equal(OpenSsl.ErrorZeroReturn, status);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_fatal_alert_of_ours_is_understood(string end, string version, string algorithm)
    {
        using TakenOver connection = Take(end, version, algorithm);
        connection.Peer.Give(TlsEnds.SealEnd(ref connection.Ours, TlsAlert.BadRecordMac));
        connection.Peer.Read(out int status);
        Assert.NotEqual(OpenSsl.ErrorWantRead, status);
        Assert.Contains("alert bad record mac", OpenSsl.DescribeError(), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_fatal_alert_of_OpenSSLs_is_understood(string end, string version, string algorithm)
    {
        using TakenOver connection = Take(end, version, algorithm);
        connection.Peer.Give([23, 3, 3, 0, 30, .. new byte[30]]);
        connection.Peer.Read(out _);
        Assert.Empty(connection.Receive());
        Assert.Equal((OpenedRecordKind.FatalAlert, TlsAlert.BadRecordMac), (connection.Last.Kind, connection.Last.Alert));
    }

    [Theory]
    [InlineData("server", false)]
    [InlineData("server", true)]
    [InlineData("client", false)]
    [InlineData("client", true)]
    public void Key_updates_of_OpenSSLs_are_followed_and_answered(string end, bool asks)
    {
        foreach (string algorithm in Enum.GetNames<AeadAlgorithm>())
        {
            using TakenOver connection = Take(end, "1.3", algorithm);
            for (int i = 0; i < 3; i++)
            {
                connection.Peer.UpdateKey(asks);
                connection.Peer.Write("<up/>"u8);
                Assert.Equal("<up/>"u8.ToArray(), connection.Receive());
                Assert.Equal(asks, connection.Ours.MustUpdateKey);
                connection.Send("<down/>"u8);
                Assert.Equal("<down/>"u8.ToArray(), connection.Peer.Read(out _));
            }
        }
    }

    [Theory]
    [InlineData("server")]
    [InlineData("client")]
    public void In_TLS_1_2_OpenSSLs_wish_for_another_handshake_ends_the_connection(string end)
    {
        using TakenOver connection = Take(end, "1.2", nameof(AeadAlgorithm.Aes128Gcm));

        connection.Peer.AskForRenegotiation();
        connection.Receive();
        Assert.Equal((OpenedRecordKind.Fault, TlsAlert.NoRenegotiation), (connection.Last.Kind, connection.Last.Alert));
        connection.Peer.Give(TlsEnds.SealEnd(ref connection.Ours, TlsAlert.NoRenegotiation));
        connection.Peer.Read(out int status);
        Assert.Contains(status, new[] { 1, OpenSsl.ErrorZeroReturn });
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Whatever_both_ends_do_in_whatever_order_all_data_comes_through(string end, string version, string algorithm)
    {
        Config config = Config.QuickThrowOnFailure.WithMaxTest(20);
        Prop.ForAll(Arb.From(Gen.Choose(0, 100).ArrayOf()), steps =>
        {
            using TakenOver connection = Take(end, version, algorithm);
            List<byte> sentToPeer = [], sentToUs = [], peerGot = [], weGot = [];
            for (int i = 0; i < steps.Length; i++)
            {
                byte[] data = [(byte)i, .. new byte[steps[i] * steps[i]]];
                switch (steps[i] % 6)
                {
                    case 0 or 1:
                        connection.Send(data);
                        sentToPeer.AddRange(data);
                        break;
                    case 2 or 3:
                        connection.Peer.Write(data);
                        sentToUs.AddRange(data);
                        break;
                    case 4 when version == "1.3":
                        connection.Peer.UpdateKey(asks: steps[i] % 4 == 0);
                        break;
                    default:
                        weGot.AddRange(connection.Receive());
                        peerGot.AddRange(connection.Peer.Read(out int status));
                        Assert.Equal(OpenSsl.ErrorWantRead, status);
                        break;
                }
            }

            weGot.AddRange(connection.Receive());
            peerGot.AddRange(connection.Peer.Read(out _));
            Assert.Equal(sentToUs.ToArray(), weGot.ToArray().AsSpan());
            Assert.Equal(sentToPeer.ToArray(), peerGot.ToArray().AsSpan());
        }).Check(config);
    }

    private TakenOver Take(string end, string version, string algorithm) =>
        new(version == "1.3", Enum.Parse<AeadAlgorithm>(algorithm), end == "server", _certificate);
}
