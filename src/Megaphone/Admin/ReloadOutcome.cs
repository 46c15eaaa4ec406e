using System.Buffers;
using System.Text.Json;
using Megaphone.Metrics;

namespace Megaphone.Admin;

/// <summary>How a reload came out, as the operator is told.</summary>
/// <param name="Result">How.</param>
/// <param name="Message">Why, or what has happened, in one line.</param>
internal sealed record ReloadOutcome(ReloadResult Result, string Message)
{
    /// <summary>The status of the HTTP response.</summary>
    public int Status => Result switch { ReloadResult.Done => 200, ReloadResult.Refused => 409, _ => 500 };

    /// <summary>The body of the HTTP response.</summary>
    public byte[] ToJson()
    {
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            json.WriteString("result", Label);
            json.WriteString("message", Message);
            json.WriteEndObject();
        }

        return bytes.WrittenSpan.ToArray();
    }

    private string Label => Result switch { ReloadResult.Done => "done", ReloadResult.Refused => "refused", _ => "failed" };
}
