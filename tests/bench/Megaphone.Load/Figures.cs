using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Megaphone.Load;

/// <summary>One JSON object, printed as one line when it is disposed.</summary>
internal sealed class Figures : IDisposable
{
    private readonly MemoryStream _text = new();
    private readonly Utf8JsonWriter _json;

    /// <summary>Begins the object.</summary>
    public Figures()
    {
        _json = new Utf8JsonWriter(_text);
        _json.WriteStartObject();
    }

    /// <summary>Adds a number, to a thousandth.</summary>
    public void Add(string name, double value) => _json.WriteNumber(name, Math.Round(value, 3));

    /// <summary>Adds an object: process ids, and the seconds of processor time of each.</summary>
    public void Add(string name, (int ProcessId, double Seconds)[] processes)
    {
        _json.WriteStartObject(name);
        foreach ((int id, double seconds) in processes)
            _json.WriteNumber(id.ToString(CultureInfo.InvariantCulture), Math.Round(seconds, 6));
        _json.WriteEndObject();
    }

    /// <summary>Prints the object.</summary>
    public void Dispose()
    {
        _json.WriteEndObject();
        _json.Dispose();
        Console.WriteLine(Encoding.UTF8.GetString(_text.ToArray()));
    }
}
