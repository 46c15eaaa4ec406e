namespace Megaphone.Fuzz;

/// <summary>
/// The targets by name, which is also that of their corpus. A target takes any bytes, and throws when a property does not hold; any
/// other exception that comes out of it is a finding too.
/// </summary>
internal static class FuzzTargets
{
    public static IReadOnlyDictionary<string, Action<byte[]>> All { get; } = new SortedDictionary<string, Action<byte[]>>(StringComparer.Ordinal)
    {
        ["control"] = ControlTarget.Run,
        ["handover"] = HandoverTarget.Run,
        ["packet-header"] = PacketHeaderTarget.Run,
        ["packet-splitter"] = PacketSplitterTarget.Run,
        ["proxy-header"] = ProxyHeaderTarget.Run,
        ["proxy-received"] = ReceivedProxyHeaderTarget.Run,
        ["starttls"] = StartTlsTarget.Run,
        ["stream-splitter"] = StreamSplitterTarget.Run,
        ["tls-record-reader"] = TlsRecordReaderTarget.Run,
        ["tls-records"] = TlsRecordsTarget.Run,
        ["web-frames"] = WebFramesTarget.Run,
        ["web-messages"] = WebMessagesTarget.Run,
        ["web-request"] = WebRequestTarget.Run,
    };
}
