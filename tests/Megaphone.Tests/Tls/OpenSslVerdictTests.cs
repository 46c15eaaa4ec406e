using Megaphone.Tests.Links;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>A client seals what breaks a rule, and gets the same answer from our reader and from OpenSSL's server.</summary>
/// <remarks>
/// What they answer differently is not here: an alert that is not two bytes long, and a key update that says it is longer than one. For messages that
/// cannot be parsed RFC 8446 has <c>decode_error</c> (section 6), and OpenSSL others. And OpenSSL passes over an empty handshake record of TLS 1.2.
/// </remarks>
public sealed class OpenSslVerdictTests : IDisposable
{
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Theory]
    [InlineData("1.3", TlsContentType.Invalid, "", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", TlsContentType.Invalid, "000000", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", TlsContentType.ChangeCipherSpec, "01", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", 24, "01", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", TlsContentType.Alert, "", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", TlsContentType.Handshake, "", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", TlsContentType.Handshake, "1800000102", TlsAlert.IllegalParameter)]
    [InlineData("1.3", TlsContentType.Handshake, "18000000", TlsAlert.DecodeError)]
    [InlineData("1.3", TlsContentType.Handshake, "180000010018", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", TlsContentType.Handshake, "18000001001800000100", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", TlsContentType.Handshake, "01000000", TlsAlert.UnexpectedMessage)]
    [InlineData("1.3", TlsContentType.Handshake, "04000000", TlsAlert.UnexpectedMessage)]
    [InlineData("1.2", TlsContentType.ChangeCipherSpec, "01", TlsAlert.UnexpectedMessage)]
    [InlineData("1.2", 24, "01", TlsAlert.UnexpectedMessage)]
    [InlineData("1.2", TlsContentType.Alert, "", TlsAlert.UnexpectedMessage)]
    [InlineData("1.2", TlsContentType.Alert, "0328", TlsAlert.IllegalParameter)]
    [InlineData("1.2", TlsContentType.Handshake, "00000000", TlsAlert.UnexpectedMessage)]
    [InlineData("1.2", TlsContentType.Handshake, "14000000", TlsAlert.UnexpectedMessage)]
    public void A_rule_that_is_broken_has_the_same_alert(string version, object type, string content, object alert) =>
        AssertFault(version, (TlsContentType)Convert.ToByte(type, null), Convert.FromHexString(content), (TlsAlert)alert);

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void Content_of_more_than_16384_bytes_has_the_same_alert(string version) =>
        AssertFault(version, TlsContentType.ApplicationData, new byte[SecurityParameters.MaxContentBytes + 1], TlsAlert.RecordOverflow);

    [Theory]
    [InlineData("1.3", TlsContentType.ApplicationData, 0, 0)]
    [InlineData("1.3", TlsContentType.ApplicationData, SecurityParameters.MaxContentBytes, 239)]
    [InlineData("1.2", TlsContentType.ApplicationData, 0, 0)]
    public void The_same_lengths_are_accepted(string version, object type, int length, int padding)
    {
        using TakenOver theirs = Begin(version);
        TlsEnds ours = TlsEnds.Of(version);
        byte[] content = new byte[length];
        theirs.Peer.Give(TlsEnds.SealAny(ref theirs.Ours, (TlsContentType)type, content, padding));
        Assert.Equal(content, theirs.Peer.Read(out _));
        Assert.Equal(content, TlsEnds.Open(ref ours.Server, ours.ClientSeals((TlsContentType)type, content, padding)).Data);
    }

    private void AssertFault(string version, TlsContentType type, byte[] content, TlsAlert alert)
    {
        using TakenOver theirs = Begin(version);
        theirs.Peer.Give(TlsEnds.SealAny(ref theirs.Ours, type, content, padding: 0));
        Assert.Empty(theirs.Peer.Read(out _));
        theirs.Receive();
        Assert.Equal((OpenedRecordKind.FatalAlert, alert), (theirs.Last.Kind, theirs.Last.Alert));

        TlsEnds ours = TlsEnds.Of(version);
        TlsRecordReaderTests.AssertFault(alert, ours.ServerOpens(ours.ClientSeals(type, content)));
    }

    private TakenOver Begin(string version) =>
        new(version == "1.3", AeadAlgorithm.Aes128Gcm, isServer: false, _authority.Issue("server", "example.org"));
}
