using Megaphone.Tls;
using Xunit;
using static Megaphone.Tests.Tls.TlsEnds;
using static Megaphone.Tests.Tls.TlsRecordReaderTests;

namespace Megaphone.Tests.Tls;

/// <summary>Alerts in and out: RFC 8446, section 6, and RFC 5246, section 7.2.</summary>
public sealed class TlsAlertTests
{
    private const byte HandshakeFailure = 40;

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void Close_notify_ends_a_direction_and_what_comes_behind_it_is_not_looked_at(string version)
    {
        TlsEnds ends = Of(version);
        Assert.False(ends.Server.ReadEnded);
        byte[] end = SealEnd(ref ends.Client, TlsAlert.CloseNotify);
        Assert.Equal(new OpenedRecord(OpenedRecordKind.Ended, end.Length), ends.ServerOpens([.. end, 1, 2, 3]));
        Assert.True(ends.Server.ReadEnded);
        Assert.Equal(new OpenedRecord(OpenedRecordKind.Ended, 3), ends.ServerOpens([1, 2, 3]));

        Assert.Equal("<down/>"u8.ToArray(), Open(ref ends.Client, ends.ServerSeals("<down/>"u8)).Data);
    }

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void Nothing_is_sealed_behind_the_end(string version)
    {
        TlsEnds ends = Of(version);
        SealEnd(ref ends.Client, TlsAlert.CloseNotify);
        Assert.True(ends.Client.WriteEnded);
        Assert.Throws<InvalidOperationException>(() => ends.ClientSeals("<up/>"u8));
        Assert.Throws<InvalidOperationException>(() => SealEnd(ref ends.Client, TlsAlert.BadRecordMac));
    }

    [Theory]
    [InlineData("1.3", 2, HandshakeFailure)]
    [InlineData("1.3", 1, HandshakeFailure)]
    [InlineData("1.3", 1, (byte)TlsAlert.NoRenegotiation)]
    [InlineData("1.3", 77, 255)]
    [InlineData("1.2", 2, HandshakeFailure)]
    [InlineData("1.2", 2, (byte)TlsAlert.CloseNotify)]
    public void These_alerts_are_fatal_and_want_no_answer(string version, byte level, byte description)
    {
        TlsEnds ends = Of(version);
        OpenedRecord opened = ends.ServerOpens(ends.ClientSeals(TlsContentType.Alert, [level, description]));
        Assert.Equal((OpenedRecordKind.FatalAlert, (TlsAlert)description), (opened.Kind, opened.Alert));
        Assert.False(ends.Server.ReadEnded);
    }

    [Theory]
    [InlineData("1.3", 1, (byte)TlsAlert.UserCanceled)]
    [InlineData("1.3", 2, (byte)TlsAlert.UserCanceled)]
    [InlineData("1.2", 1, (byte)TlsAlert.UserCanceled)]
    [InlineData("1.2", 1, (byte)TlsAlert.NoRenegotiation)]
    [InlineData("1.2", 1, 255)]
    public void These_alerts_are_only_warnings(string version, byte level, byte description)
    {
        TlsEnds ends = Of(version);
        Assert.Equal(OpenedRecordKind.Nothing, ends.ServerOpens(ends.ClientSeals(TlsContentType.Alert, [level, description])).Kind);
        ends.AssertTalk();
    }

    [Theory]
    [InlineData("1.3", 1)]
    [InlineData("1.3", 3)]
    [InlineData("1.3", 4)]
    [InlineData("1.2", 1)]
    [InlineData("1.2", 4)]
    public void A_record_holds_one_alert_and_no_part_of_one_5_1(string version, int length)
    {
        TlsEnds ends = Of(version);
        AssertFault(TlsAlert.DecodeError, ends.ServerOpens(ends.ClientSeals(TlsContentType.Alert, new byte[length])));
    }

    [Fact]
    public void In_TLS_1_2_a_level_that_does_not_exist_is_an_illegal_parameter()
    {
        TlsEnds ends = Of("1.2");
        AssertFault(TlsAlert.IllegalParameter, ends.ServerOpens(ends.ClientSeals(TlsContentType.Alert, [3, HandshakeFailure])));
    }

    [Theory]
    [MemberData(nameof(All), MemberType = typeof(TlsEnds))]
    public void The_peer_gets_the_fatal_alert_that_ends_a_connection(string version, string algorithm)
    {
        TlsEnds ends = Of(version, algorithm);
        OpenedRecord opened = ends.ClientOpens(SealEnd(ref ends.Server, TlsAlert.RecordOverflow));
        Assert.Equal((OpenedRecordKind.FatalAlert, TlsAlert.RecordOverflow), (opened.Kind, opened.Alert));
    }

    [Theory]
    [InlineData(nameof(AeadAlgorithm.Aes128Gcm))]
    [InlineData(nameof(AeadAlgorithm.ChaCha20Poly1305))]
    public void No_renegotiation_is_a_warning_and_close_notify_follows_it(string algorithm)
    {
        TlsEnds ends = Of("1.2", algorithm);
        byte[] end = SealEnd(ref ends.Server, TlsAlert.NoRenegotiation);
        OpenedRecord opened = ends.ClientOpens(end);
        Assert.Equal(OpenedRecordKind.Nothing, opened.Kind);
        Assert.Equal(new OpenedRecord(OpenedRecordKind.Ended, end.Length - opened.Length), ends.ClientOpens(end.AsSpan(opened.Length)));
    }
}
