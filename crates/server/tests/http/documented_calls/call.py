# Calls METHOD HOST TARGET with TOKEN the way the documentation shows; prints the body and the status.
import http.client
import sys

_, method, host, target, token = sys.argv

connection = http.client.HTTPConnection(host)
payload = ""
headers = {"authorization": "Bearer " + token}
connection.request(method, target, payload, headers)
response = connection.getresponse()
sys.stdout.buffer.write(response.read())
print("", response.status, sep="\n")
