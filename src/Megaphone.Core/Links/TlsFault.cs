using System.Net.Sockets;

namespace Megaphone.Links;

/// <summary>Describes why a link's TLS failed.</summary>
internal static class TlsFault
{
    /// <summary>The reason in one line: the alert that the other end sent, if it sent one.</summary>
    public static string Describe(Exception error)
    {
        while (error.InnerException is { } inner) error = inner;
        if (error is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted }) return "closed";

        // OpenSSL's own words, which are what people search for: "error:0A000412:SSL routines::sslv3 alert bad certificate".
        string text = error.Message[(error.Message.LastIndexOf("::", StringComparison.Ordinal) is var colons and >= 0 ? colons + 2 : 0)..];
        int alert = text.IndexOf("alert ", StringComparison.Ordinal);
        return alert >= 0 ? $"the other end refused with the TLS alert \"{text[(alert + "alert ".Length)..]}\"" : text;
    }
}
