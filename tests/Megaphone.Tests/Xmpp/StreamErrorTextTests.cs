using System.Text;
using System.Xml.Linq;
using Megaphone.Xmpp;
using Xunit;

namespace Megaphone.Tests.Xmpp;

/// <summary>Whatever values an answer's header is made from, it has exactly the intended attributes.</summary>
public class StreamErrorTextTests
{
    [Theory]
    [InlineData("example.org")]
    [InlineData("a' evil='1' x='.example.org")]
    [InlineData("a\" evil=\"1")]
    [InlineData("a'><stream:features/><x y='")]
    [InlineData("&apos; &#39; &unknown;")]
    public void Values_are_escaped_and_cannot_become_attributes_or_elements(string text)
    {
        string header = Encoding.UTF8.GetString(StreamErrorText.Header(id: text, from: text));

        XElement stream = XElement.Parse(header[header.IndexOf("<stream", StringComparison.Ordinal)..] + "</stream:stream>");
        Assert.Equal(["xmlns", "stream", "id", "from", "version"], stream.Attributes().Select(attribute => attribute.Name.LocalName));
        Assert.Equal((text, text), (stream.Attribute("id")!.Value, stream.Attribute("from")!.Value));
        Assert.Empty(stream.Nodes());
    }
}
